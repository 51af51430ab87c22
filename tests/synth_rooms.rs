//! Synthetic rooms and their scans.

use std::path::{Path, PathBuf};

use pointtpa::scan::{read, write_cloud};
use pointtpa::synth::{BUNDLED, Collection, Domain, Options, Path as CameraPath, Room, RoomKind};
use pointtpa::synth::{ScannerOptions, Views, scan};
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
            // Up to three doors may stand open.
            assert!(outside * 4 < n, "{domain:?} {seed}: {outside} of {n} points are far outside");
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

/// Homes and offices, as the bundled model is trained on.
fn homes_and_offices() -> Collection {
    Collection::of(&[Domain::Home, Domain::Home, Domain::Home, Domain::Office, Domain::Office])
}

#[test]
fn every_class_stands_in_at_least_a_tenth_of_homes_and_offices() {
    let set = LabelSet::rooms();
    let collection = homes_and_offices();
    let mut rooms = vec![0usize; set.len()];
    for seed in 0..400 {
        for label in room(collection.recipe(seed).domain, seed).labels() {
            rooms[label as usize] += 1;
        }
    }
    for class in &set.classes {
        let share = rooms[class.id as usize] as f64 / 400.0;
        println!("{:<16} {:.1} %", class.name, 100.0 * share);
        assert!(share >= 0.1, "{} stands in {:.1} % of the rooms", class.name, 100.0 * share);
    }
}

#[test]
fn every_class_is_seen_often_enough_to_be_learned() {
    let set = LabelSet::rooms();
    let collection = Collection { cell: 0.04, ..homes_and_offices() };
    let (mut scenes, mut points) = (vec![0usize; set.len()], vec![0usize; set.len()]);
    for seed in 0..80 {
        let mut count = vec![0usize; set.len()];
        let cloud = collection.recipe(seed).cloud();
        cloud.labels.as_ref().unwrap().iter().for_each(|&label| count[label as usize] += 1);
        for class in 0..set.len() {
            scenes[class] += usize::from(count[class] >= 20);
            points[class] += count[class];
        }
    }
    let all: usize = points.iter().sum();
    for class in &set.classes {
        let (seen, share) = (scenes[class.id as usize], points[class.id as usize] as f64 / all as f64);
        println!("{:<16} {seen:>3} of 80 scenes, {:.2} % of the points", class.name, 100.0 * share);
        // A twentieth of the scenes and a thousandth of the points: of a hundred scenes, 10,000 points of the rarest.
        assert!(seen >= 4 && share >= 1e-3, "{}: {seen} scenes, {share:.5} of the points", class.name);
    }
}

#[test]
fn a_third_of_a_mixed_collection_are_glances() {
    let collection = homes_and_offices();
    let recipes: Vec<_> = (0..600).map(|seed| collection.recipe(seed)).collect();
    let glances = recipes.iter().filter(|recipe| recipe.camera.path != CameraPath::Walk).count();
    let offices = recipes.iter().filter(|recipe| recipe.domain == Domain::Office).count();
    // Five standard deviations of 600 throws.
    assert!((143..=257).contains(&glances), "{glances} of 600");
    assert!((180..=300).contains(&offices), "{offices} of 600");
    let only = |views| (0..20).map(|seed| Collection { views, ..homes_and_offices() }.recipe(seed)).collect::<Vec<_>>();
    assert!(only(Views::Walk).iter().all(|recipe| recipe.camera.path == CameraPath::Walk));
    assert!(only(Views::Glance).iter().all(|recipe| recipe.camera.path != CameraPath::Walk));
}

#[test]
fn a_glance_shows_a_part_of_the_room_from_the_cameras_place() {
    let cells = |cloud: &PointCloud| {
        let key = |p: &[f32; 3]| p.map(|value| (value / 0.2).floor() as i32);
        cloud.positions.iter().map(key).collect::<std::collections::BTreeSet<_>>().len()
    };
    let (mut seen, mut all, mut tilted) = (0, 0, 0);
    for seed in 0..24 {
        let room = room(Domain::Office, seed);
        let camera = ScannerOptions { cell: 0.03, ..ScannerOptions::glance(Domain::Office, seed) };
        let glance = scan(&room, &camera, seed);
        assert!(glance.len() > 1000, "seed {seed}: {}", glance.len());
        assert!(glance.normals.is_none(), "a bare depth picture has no normals");
        seen += cells(&glance);
        all += cells(&scan(&room, &quick(Domain::Office), seed));
        // One picture in the camera's axes, y forwards: all of it lies before the camera, within the view.
        if camera.poses == 1 && camera.path == CameraPath::Glance {
            let before = |p: &&[f32; 3]| p[1] > 0.0 && p[0].abs() <= camera.half_width * p[1] * 1.02;
            let share = glance.positions.iter().filter(before).count() as f32 / glance.len() as f32;
            assert!(share > 0.99, "seed {seed}: {share}");
            let floor = points_of(&glance, FLOOR);
            let heights = floor.iter().map(|p| p[2]);
            let (low, high) = heights.fold((f32::INFINITY, f32::NEG_INFINITY), |(l, h), z| (l.min(z), h.max(z)));
            tilted += usize::from(floor.len() > 500 && high - low > 0.3);
        }
    }
    assert!(seen * 2 < all, "glances show {seen} of {all} cells");
    assert!(tilted >= 2, "only {tilted} floors are tilted against the camera's axes");
}

#[test]
fn a_glances_depth_is_stepped_and_its_noise_grows_with_the_distance() {
    let still = ScannerOptions {
        path: CameraPath::Glance,
        poses: 1,
        jitter: false,
        flying: 0.0,
        noise: 0.0,
        cell: 1e-4,
        ..ScannerOptions::of(Domain::Home)
    };
    // Depths without and with what `options` adds, in several rooms: one alone may show nothing far.
    let depths = |options: &ScannerOptions| -> Vec<(f32, f32)> {
        let one = |seed| {
            let room = room(Domain::Office, seed);
            let (clean, other) = (scan(&room, &still, seed), scan(&room, options, seed));
            assert_eq!(other.len(), clean.len(), "noise moves points and loses none");
            clean.positions.into_iter().zip(other.positions).map(|(a, b)| (a[1], b[1])).collect::<Vec<_>>()
        };
        (0..8).flat_map(one).collect()
    };
    let noisy = depths(&ScannerOptions { noise: 0.003, ..still.clone() });
    let spread = |from: f32, to: f32| {
        let errors: Vec<f32> = noisy.iter().filter(|d| (from..to).contains(&d.0)).map(|d| d.1 - d.0).collect();
        assert!(errors.len() > 200, "{} points from {from} to {to} m", errors.len());
        (errors.iter().map(|error| error * error).sum::<f32>() / errors.len() as f32).sqrt()
    };
    let (near, far) = (spread(0.8, 1.6), spread(2.4, 3.2));
    // 0.4 + 0.6 z²: 1.3 at 1.2 m, 5.1 at 2.8 m.
    assert!(far > 2.0 * near && near > 0.001, "{near} {far}");
    let step = 0.003;
    for (clean, stepped) in depths(&ScannerOptions { disparity_step: step, ..still.clone() }) {
        let steps = 1.0 / (stepped * step);
        // Within what f32 keeps of a depth after it has gone through the room's axes and back.
        assert!((steps - steps.round()).abs() < 2e-2, "{stepped} m is {steps} steps");
        assert!((clean - stepped).abs() <= 0.6 * step * clean * clean + 1e-4, "{clean} {stepped}");
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
        let still = ScannerOptions { drift: 0.0, flying: 0.0, ..quick(Domain::Home) };
        let options = ScannerOptions { poses: 10, noise, cell: 1e-4, ..still };
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
