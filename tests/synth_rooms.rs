//! Synthetic rooms and their scans.

use std::path::{Path, PathBuf};

use pointtpa::scan::{read, write_cloud};
use pointtpa::synth::{BUNDLED, Domain, Options, Room, RoomKind, ScannerOptions, scan};
use pointtpa::{LabelSet, PointCloud};

const WALL: i32 = 0;
const FLOOR: i32 = 1;
const CEILING: i32 = 20;

/// A coarse and quick scan.
fn quick(domain: Domain) -> ScannerOptions {
    ScannerOptions { poses: 16, width: 80, height: 60, cell: 0.03, ..ScannerOptions::of(domain) }
}

fn room(domain: Domain, seed: u64) -> Room {
    Room::generate(&Options { domain, kind: None }, seed)
}

fn points_of(cloud: &PointCloud, label: i32) -> Vec<[f32; 3]> {
    let labels = cloud.labels.as_ref().unwrap();
    cloud.positions.iter().zip(labels).filter(|(_, found)| **found == label).map(|(position, _)| *position).collect()
}

#[test]
fn equal_seeds_give_equal_scans_and_others_give_others() {
    for domain in Domain::ALL {
        let make = |seed| scan(&room(domain, seed), &quick(domain), seed);
        let first = make(5);
        assert!(first == make(5), "{domain:?}");
        assert!(first != make(6), "{domain:?}");
        let same_room = room(domain, 5);
        assert!(scan(&same_room, &quick(domain), 1) != scan(&same_room, &quick(domain), 2), "{domain:?}");
    }
}

#[test]
fn scans_are_whole_finite_and_within_their_rooms() {
    for domain in Domain::ALL {
        for seed in 0..10 {
            let room = room(domain, seed);
            let cloud = scan(&room, &quick(domain), seed);
            let n = cloud.len();
            assert!(n > 3000, "{domain:?} {seed}: only {n} points");
            let (colors, normals) = (cloud.colors.as_ref().unwrap(), cloud.normals.as_ref().unwrap());
            assert_eq!((colors.len(), normals.len(), cloud.labels.as_ref().unwrap().len()), (n, n, n));
            assert!((0..n).all(|index| cloud.is_finite(index)));
            assert!(colors.iter().flatten().all(|value| (0.0..=255.0).contains(value) && value.fract() == 0.0));
            for normal in normals {
                let length = normal.iter().map(|value| value * value).sum::<f32>().sqrt();
                assert!((length - 1.0).abs() < 1e-4, "{normal:?}");
            }
            let labels = cloud.labels.as_ref().unwrap();
            assert!(labels.iter().all(|label| (0..=20).contains(label)));
            let (low, high) = room.bounds();
            // Through open doors the camera sees up to 1.5 m of hallway.
            let within = |position: &[f32; 3], margin: f32| {
                (0..3).all(|axis| position[axis] > low[axis] - margin && position[axis] < high[axis] + margin)
            };
            assert!(cloud.positions.iter().all(|position| within(position, 1.8)), "{domain:?} {seed}");
            let outside = cloud.positions.iter().filter(|position| !within(position, 0.4)).count();
            assert!(outside * 10 < n, "{domain:?} {seed}: {outside} of {n} points are far outside");
        }
    }
}

#[test]
fn floors_lie_near_zero_and_ceilings_at_the_rooms_height() {
    for seed in 0..10 {
        let room = room(Domain::Home, seed);
        let cloud = scan(&room, &quick(Domain::Home), seed);
        let height = room.bounds().1[2];
        let mean = |points: &[[f32; 3]]| points.iter().map(|p| p[2]).sum::<f32>() / points.len() as f32;
        let floor = points_of(&cloud, FLOOR);
        assert!(floor.len() > 200 && mean(&floor).abs() < 0.02, "seed {seed}: floor at {}", mean(&floor));
        let ceiling = points_of(&cloud, CEILING);
        assert!(ceiling.is_empty() || (mean(&ceiling) - height).abs() < 0.03, "seed {seed}");
        assert!((2.3..3.2).contains(&height));
    }
}

#[test]
fn every_class_is_seen_somewhere_in_thirty_rooms() {
    let set = LabelSet::rooms();
    let mut seen = vec![0usize; set.len()];
    for seed in 0..30 {
        let domain = if seed % 3 == 2 { Domain::Office } else { Domain::Home };
        let cloud = scan(&room(domain, seed), &quick(domain), seed);
        for &label in cloud.labels.as_ref().unwrap() {
            seen[label as usize] += 1;
        }
    }
    for class in &set.classes {
        println!("{:<16} {}", class.name, seen[class.id as usize]);
        assert!(seen[class.id as usize] > 50, "{} is seen {} times", class.name, seen[class.id as usize]);
    }
}

#[test]
fn rooms_hold_what_their_kind_promises() {
    let set = LabelSet::rooms();
    for (kind, name) in [
        (RoomKind::Living, "sofa"),
        (RoomKind::Bedroom, "bed"),
        (RoomKind::Office, "desk"),
        (RoomKind::Meeting, "table"),
        (RoomKind::Kitchen, "counter"),
        (RoomKind::Bathroom, "toilet"),
    ] {
        let label = set.id(name).unwrap() as i32;
        let make = |seed| Room::generate(&Options { domain: Domain::Home, kind: Some(kind) }, seed);
        let with = (0..20).filter(|&seed| make(seed).labels().contains(&label)).count();
        // Furniture that does not fit is left out, which may happen but not often.
        assert!(with >= 15, "{with} of 20 {kind:?} rooms have a {name}");
    }
}

#[test]
fn near_surfaces_are_denser_and_hidden_ones_are_missing() {
    let room = room(Domain::Home, 1);
    // One picture, not thinned: density falls with the square of the distance.
    let options = ScannerOptions { poses: 1, noise: 0.0, cell: 1e-4, ..quick(Domain::Home) };
    let one = scan(&room, &options, 3).len();
    let many = scan(&room, &ScannerOptions { poses: 12, ..options.clone() }, 3).len();
    assert!(one <= 80 * 60, "a picture gives at most one point per pixel, not {one}");
    assert!(many > 6 * one, "{one} {many}");
    // From one place a good part of the walls is out of sight; twelve places show more of them.
    let cells = |poses| {
        let cloud = scan(&room, &ScannerOptions { poses, cell: 0.15, ..quick(Domain::Home) }, 3);
        points_of(&cloud, WALL).len()
    };
    assert!(cells(12) * 2 > 3 * cells(1), "{} {}", cells(12), cells(1));
}

#[test]
fn depth_noise_grows_with_the_distance() {
    let room = room(Domain::Home, 1);
    let spread = |noise: f32| {
        let options = ScannerOptions { poses: 10, drift: 0.0, noise, cell: 1e-4, ..quick(Domain::Home) };
        let floor = points_of(&scan(&room, &options, 3), FLOOR);
        (floor.iter().map(|p| p[2] * p[2]).sum::<f32>() / floor.len() as f32).sqrt()
    };
    // The hallway's floor behind an open door lies 1 mm lower.
    assert!(spread(0.0) < 1e-3, "{}", spread(0.0));
    assert!(spread(0.004) > 0.002 && spread(0.004) < 0.05, "{}", spread(0.004));
}

fn scenes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/scenes")
}

/// With `POINTTPA_BLESS=1` in the environment the scenes are written anew instead.
#[test]
fn the_bundled_scenes_are_what_their_seeds_give() {
    for scene in BUNDLED {
        let path = scenes().join(scene.file);
        let folder = tempfile::tempdir().unwrap();
        let again = folder.path().join(scene.file);
        write_cloud(&again, &scene.cloud(), &LabelSet::rooms()).unwrap();
        if std::env::var_os("POINTTPA_BLESS").is_some() {
            std::fs::copy(&again, &path).unwrap();
        }
        assert!(std::fs::read(&path).unwrap() == std::fs::read(&again).unwrap(), "{} differs", scene.file);
        let description = read(&path).unwrap().describe();
        println!("{description}");
        assert!((20_000..40_000).contains(&description.points), "{}", description.points);
        assert!(std::fs::metadata(&path).unwrap().len() <= 1 << 20);
        assert_eq!(description.up.unwrap().answer, "+z");
        assert!(description.labels.unwrap().len() >= 8);
    }
}
