//! What tends to be wrong with scans, looked for in every one.

use crate::parallel::prelude::*;

use super::PointCloud;
use super::description::Description;
use super::format::HAS_FORMATS;
use super::point_cloud::LARGE_COORDINATE;
use super::up::Up;
use super::warning::Warning;

/// What is to be said of a scan, besides what its reader said.
pub(crate) fn lint(found: &Description, cloud: &PointCloud) -> Vec<Warning> {
    let checks = [no_points, not_finite, colors, normals, units, precision, up, duplicates];
    checks.iter().filter_map(|check| check(found, cloud)).collect()
}

fn no_points(found: &Description, _: &PointCloud) -> Option<Warning> {
    (found.points == 0).then(|| Warning::new("no-points", "there are no points", "Export the scan again"))
}

fn not_finite(found: &Description, _: &PointCloud) -> Option<Warning> {
    let count = found.non_finite_points;
    let message = format!("{count} points have NaN or infinite coordinates: they are kept and get no label");
    (count > 0).then(|| Warning::new("not-finite", message, ""))
}

fn colors(found: &Description, cloud: &PointCloud) -> Option<Warning> {
    if cloud.colors.is_none() {
        let message = "there are no colours: a neutral grey is used, which costs accuracy";
        return Some(Warning::new("no-colors", message, "Export the scan with its colours, if it has some"));
    }
    let message = "all colours are black: the file may have lost them";
    (found.color_range == Some([0.0, 0.0])).then(|| Warning::new("black", message, "Export the scan again"))
}

fn normals(_: &Description, cloud: &PointCloud) -> Option<Warning> {
    let unusable = |n: &&[f32; 3]| {
        let length = n.iter().map(|value| value * value).sum::<f32>();
        !length.is_finite() || length == 0.0
    };
    let count = cloud.normals.as_ref()?.iter().filter(unusable).count();
    let message = format!("{count} normals are zero or not finite");
    let advice = "Leave the normals out of the file, so that they are estimated";
    (count > 0).then(|| Warning::new("zero-normals", message, advice))
}

fn units(found: &Description, _: &PointCloud) -> Option<Warning> {
    let units = found.units.as_ref()?;
    match units.answer.as_str() {
        "millimetres" => {
            let message = "the coordinates look like millimetres: models expect metres";
            Some(Warning::new("millimetres", message, "`segment --scale 0.001` makes metres of them"))
        }
        "unknown" => {
            let advice = "Remove stray points, or give `segment --scale` what makes metres of the coordinates";
            Some(Warning::new("extent", units.reason.clone(), advice))
        }
        _ => None,
    }
}

/// Far from the origin 32 bits are few: what was georeferenced and stored so has lost its detail.
fn precision(found: &Description, cloud: &PointCloud) -> Option<Warning> {
    if found.units.as_ref().is_some_and(|units| units.answer == "millimetres") {
        return None;
    }
    let (low, high) = cloud.bounds()?;
    let farthest = low.iter().chain(&high).fold(0.0f32, |farthest, value| farthest.max(value.abs()));
    if f64::from(farthest) <= LARGE_COORDINATE {
        return None;
    }
    let step = farthest.next_up() - farthest;
    let message = format!("coordinates of {farthest:.0} m have steps of {step} m in 32 bits: detail is lost");
    let advice = "Export the scan with double coordinates, or moved near the origin, and without stray points";
    Some(Warning::new("precision", message, advice))
}

fn up(found: &Description, _: &PointCloud) -> Option<Warning> {
    let up = Up::from_name(&found.up.as_ref()?.answer)?;
    if up == Up::PlusZ {
        return None;
    }
    let camera = if up == Up::MinusY { ", as in the frame of a depth camera" } else { "" };
    let message = format!("{} seems to point up{camera}: models expect +z", up.name());
    let advice = if found.assumed_up() == up {
        "`segment` turns it for the model; `--up +z` leaves it as it is".to_owned()
    } else {
        format!("`segment --up {}` turns it for the model", up.name())
    };
    Some(Warning::new("up", message, advice))
}

fn duplicates(_: &Description, cloud: &PointCloud) -> Option<Warning> {
    // The browser's module stays small without it.
    if !HAS_FORMATS {
        return None;
    }
    let finite = (0..cloud.len()).filter(|&index| cloud.is_finite(index)).map(|index| cloud.positions[index]);
    // Zero is zero, whatever its sign.
    let mut places: Vec<[u32; 3]> = finite.map(|position| position.map(|value| (value + 0.0).to_bits())).collect();
    places.par_sort_unstable();
    let (mut count, mut pile) = (0, &[][..]);
    for same in places.chunk_by(|a, b| a == b) {
        count += same.len() - 1;
        if same.len() > pile.len() {
            pile = same;
        }
    }
    if count == 0 {
        return None;
    }
    let place: [f64; 3] = std::array::from_fn(|axis| f64::from(f32::from_bits(pile[0][axis])) + cloud.origin[axis]);
    let [x, y, z] = place;
    let message =
        format!("{count} points lie exactly where another does, {} of them at {x:.3} {y:.3} {z:.3}", pile.len());
    let advice = "Remove them if they are pixels without a return, or a scan that was joined twice";
    Some(Warning::new("duplicates", message, advice))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::scan::read_bytes;

    /// The codes of what is said of these points, `x y z nx ny nz` each.
    fn codes(rows: &[[f64; 6]], kind: &str) -> Vec<String> {
        let mut text = format!(
            "ply\nformat ascii 1.0\nelement vertex {}\nproperty {kind} x\nproperty {kind} y\nproperty {kind} z\n\
             property float nx\nproperty float ny\nproperty float nz\nproperty uchar red\nproperty uchar green\n\
             property uchar blue\nend_header\n",
            rows.len()
        );
        for row in rows {
            text += &row.map(|value| value.to_string()).join(" ");
            text += " 1 2 3\n";
        }
        let scan = read_bytes(Path::new("a.ply"), text.into_bytes()).unwrap();
        scan.describe().warnings.into_iter().map(|warning| warning.code).collect()
    }

    const FLAT: [f64; 3] = [0.0, 0.0, 1.0];

    fn at(x: f64, y: f64, z: f64) -> [f64; 6] {
        [x, y, z, FLAT[0], FLAT[1], FLAT[2]]
    }

    #[test]
    fn a_plain_scan_gives_no_cause() {
        assert_eq!(codes(&[at(0.0, 0.0, 0.0), at(1.0, 2.0, 3.0)], "float"), [""; 0]);
    }

    #[test]
    fn each_fault_has_its_code() {
        assert_eq!(codes(&[at(0.0, 0.0, 0.0), at(f64::NAN, 0.0, 0.0)], "float"), ["not-finite"]);
        assert_eq!(codes(&[[0.0; 6], at(1.0, 0.0, 0.0)], "float"), ["zero-normals"]);
        assert_eq!(codes(&[at(0.0, 0.0, 0.0), at(4200.0, 3600.0, 2500.0)], "float"), ["millimetres"]);
        assert_eq!(codes(&[at(0.0, 0.0, 0.0), at(2e5, 0.0, 0.0)], "float"), ["extent", "precision"]);
        let twice = [at(0.0, -0.0, 0.0), at(0.0, 0.0, 0.0), at(1.0, 0.0, 0.0), at(1.0, 0.0, 0.0), at(0.0, 0.0, 0.0)];
        if HAS_FORMATS {
            assert_eq!(codes(&twice, "float"), ["duplicates"]);
        }
    }

    #[test]
    fn far_doubles_are_exact_and_far_floats_are_not() {
        let far = [at(500_000.25, 5_000_000.5, 1.0), at(500_001.0, 5_000_001.0, 2.0)];
        assert_eq!(codes(&far, "double"), [""; 0]);
        assert_eq!(codes(&far, "float"), ["precision"]);
        // Where it begins: 8192 m have steps of a millimetre, below they have half of it.
        assert_eq!(codes(&[at(8192.0, 0.0, 0.0), at(8191.0, 1.0, 0.0)], "float"), [""; 0]);
        assert_eq!(codes(&[at(8193.0, 0.0, 0.0), at(8191.0, 1.0, 0.0)], "float"), ["precision"]);
    }

    #[test]
    fn the_pile_of_points_is_shown_where_it_is_in_the_file() {
        let cloud = PointCloud {
            positions: vec![[1.0, 2.0, 3.0], [0.0; 3], [1.0, 2.0, 3.0], [f32::NAN; 3], [f32::NAN; 3]],
            origin: [100.0, 0.0, 0.0],
            ..PointCloud::default()
        };
        let description = Description::plain(&cloud);
        let warning = duplicates(&description, &cloud);
        if HAS_FORMATS {
            let message = warning.unwrap().message;
            assert_eq!(message, "1 points lie exactly where another does, 2 of them at 101.000 2.000 3.000");
        }
    }

    #[test]
    fn a_camera_s_frame_is_called_one() {
        let floor = (0..400).map(|i| [f64::from(i % 20) * 0.2, 1.5, f64::from(i / 20) * 0.2]);
        let wall = (0..400).map(|i| [f64::from(i % 20) * 0.2, 1.5 - f64::from(i / 20 + 1) * 0.1, 4.0]);
        let positions = floor.chain(wall).map(|p| p.map(|v| v as f32)).collect();
        let cloud = PointCloud { positions, ..PointCloud::default() };
        let warning = up(&Description::plain(&cloud), &cloud).unwrap();
        assert!(warning.message.starts_with("-y seems to point up, as in the frame of a depth camera"), "{warning}");
        assert!(warning.advice.contains("`--up +z` leaves it"), "{warning}");
    }
}
