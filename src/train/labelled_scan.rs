//! A scan with the class of every point: what training and evaluation read.

use crate::{
    Error, LabelSet, PointCloud, Result,
    geometry::{
        center_shift::center_shift,
        normals::{self, UP},
    },
    kernels::voxel_key::Lattice,
};
use std::{collections::BTreeMap, path::Path};

/// A scan with the class of every point, ready to be augmented or evaluated.
///
/// Only points with finite coordinates, in the order of the file; every column has `n` rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledScan {
    /// File or folder name without its extension.
    pub name: String,
    /// `[n, 3]`, metres, z up.
    pub coord: Vec<[f32; 3]>,
    /// `[n, 3]`, red, green, blue in `0..=255`; neutral grey where the scan has none.
    pub color: Vec<[f32; 3]>,
    /// `[n, 3]`: the scan's own, those of its faces, or estimated from neighbours.
    pub normal: Vec<[f32; 3]>,
    /// `[n]`: class ids, -1 for points to ignore.
    pub segment: Vec<i32>,
}

impl LabelledScan {
    /// A cloud whose labels are ids of `labels` or -1; `path` is what errors call it. `grid_size` (metres) is that of the
    /// voxels from which missing normals are estimated, on the CPU, as [`crate::Segmenter`] estimates them.
    ///
    /// # Errors
    /// [`Error::Scan`] for a cloud without labels, with labels outside the set, without a finite point, or wider than
    /// 65,535 voxels.
    pub async fn from_cloud(path: &Path, cloud: PointCloud, labels: &LabelSet, grid_size: f64) -> Result<Self> {
        if cloud.labels.is_none() {
            return Err(refused(
                path,
                "label",
                "the scan has no labels".into(),
                "Give its points an integer property `label`, -1 for points to ignore",
            ));
        }
        let kept: Vec<usize> = (0..cloud.len()).filter(|i| cloud.is_finite(*i)).collect();
        if kept.is_empty() {
            let problem = format!("none of its {} points has finite coordinates", cloud.len());
            return Err(refused(path, "coordinates", problem, "Give a scan with at least one point"));
        }
        let cloud = if kept.len() == cloud.len() { cloud } else { only(&cloud, &kept) };
        let segment = cloud.labels.unwrap_or_default();
        check_labels(path, &segment, &kept, labels)?;
        check_extent(path, &cloud.positions, grid_size)?;
        let normal = match cloud.normals.filter(|all| all.iter().any(normals::is_usable)) {
            Some(all) => all.into_iter().map(|n| if normals::is_usable(&n) { n } else { UP }).collect(),
            None => normals::of_points(&cloud.positions, grid_size).await?,
        };
        let color = cloud.colors.unwrap_or_else(|| vec![PointCloud::NEUTRAL_GREY; segment.len()]);
        Ok(Self { name: name_of(path), coord: cloud.positions, color, normal, segment })
    }

    /// Reads a scan file, or a folder of `.npy` columns as Pointcept's preprocessing writes it.
    ///
    /// # Errors
    /// As [`Self::from_cloud`] and [`crate::scan::read`]; [`Error::Scan`] for columns that do not fit together, and for a
    /// file whose comments say that its labels mean other classes.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn read(path: &Path, labels: &LabelSet, grid_size: f64) -> Result<Self> {
        Ok(Self::read_with_confidence(path, labels, grid_size)?.0)
    }

    /// [`Self::read`], and whether the file has a confidence beside its labels ([`crate::scan::Scan::has_confidence`]).
    #[cfg(not(target_arch = "wasm32"))]
    pub(super) fn read_with_confidence(path: &Path, labels: &LabelSet, grid_size: f64) -> Result<(Self, bool)> {
        let scan = crate::scan::read(path)?;
        let (classes, has_confidence) = (scan.classes(), scan.has_confidence());
        let scan = pollster::block_on(Self::from_cloud(path, scan.cloud, labels, grid_size))?;
        if let Some(classes) = classes {
            check_meanings(path, &scan.class_points(labels.len()), &classes, labels)?;
        }
        Ok((scan, has_confidence))
    }

    /// Number of points.
    pub fn len(&self) -> usize {
        self.coord.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.coord.is_empty()
    }

    /// Points of every class, `[classes]`; those to ignore are not counted.
    pub fn class_points(&self, classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        for label in &self.segment {
            if let Some(count) = usize::try_from(*label).ok().and_then(|class| counts.get_mut(class)) {
                *count += 1;
            }
        }
        counts
    }

    /// Bytes that its columns take.
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn bytes(&self) -> usize {
        self.len() * (3 * size_of::<[f32; 3]>() + size_of::<i32>())
    }

    /// The points of `rows`, in that order.
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        let of = |column: &[[f32; 3]]| rows.iter().map(|i| column[*i as usize]).collect();
        Self {
            name: self.name.clone(),
            coord: of(&self.coord),
            color: of(&self.color),
            normal: of(&self.normal),
            segment: rows.iter().map(|i| self.segment[*i as usize]).collect(),
        }
    }
}

/// An error of a scan.
pub(super) fn refused(path: &Path, at: &str, problem: String, advice: &str) -> Error {
    Error::Scan { path: path.to_owned(), at: at.to_owned(), problem, advice: advice.to_owned() }
}

/// File or folder name without its extension.
pub(super) fn name_of(path: &Path) -> String {
    let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
    name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The rows `kept` of a cloud.
fn only(cloud: &PointCloud, kept: &[usize]) -> PointCloud {
    fn rows<T: Copy>(column: &[T], kept: &[usize]) -> Vec<T> {
        kept.iter().map(|i| column[*i]).collect()
    }
    PointCloud {
        positions: rows(&cloud.positions, kept),
        origin: cloud.origin,
        colors: cloud.colors.as_ref().map(|column| rows(column, kept)),
        normals: cloud.normals.as_ref().map(|column| rows(column, kept)),
        labels: cloud.labels.as_ref().map(|column| rows(column, kept)),
    }
}

/// Refuses labels that are neither ids of the set nor -1. `rows` are the points' places in the file.
fn check_labels(path: &Path, segment: &[i32], rows: &[usize], labels: &LabelSet) -> Result<()> {
    const SHOWN: usize = 8;
    // Of every value outside: the first point with it, and how many there are.
    let mut outside = BTreeMap::<i32, (usize, u64)>::new();
    for (label, row) in segment.iter().zip(rows) {
        if *label != -1 && labels.class(*label).is_none() {
            outside.entry(*label).or_insert((*row, 0)).1 += 1;
        }
    }
    if outside.is_empty() {
        return Ok(());
    }
    let mut found: Vec<String> = outside
        .iter()
        .take(SHOWN)
        .map(|(label, (row, count))| format!("{label} ({count} points, the first is point {row})"))
        .collect();
    if outside.len() > SHOWN {
        found.push(format!("{} more values", outside.len() - SHOWN));
    }
    let problem = format!(
        "labels outside the set {} of {} classes, whose ids end at {}: {}",
        labels.name,
        labels.len(),
        labels.len() as i64 - 1,
        found.join(", ")
    );
    Err(refused(path, "label", problem, "Use the label set of the file, or write -1 for points to ignore"))
}

/// Refuses a file whose classes have other names than those of the set, where points carry them.
#[cfg(not(target_arch = "wasm32"))]
fn check_meanings(path: &Path, points: &[u64], classes: &LabelSet, labels: &LabelSet) -> Result<()> {
    let same_id = |theirs: &crate::scan::Class| labels.class(i32::try_from(theirs.id).ok()?);
    for (theirs, ours) in classes.classes.iter().filter_map(|theirs| Some((theirs, same_id(theirs)?))) {
        let unnamed = ours.name == format!("class{}", ours.id);
        if theirs.name != ours.name && !unnamed && points[ours.id as usize] > 0 {
            let problem = format!(
                "its comments say that label {} is `{}`, and in the set {} it is `{}`",
                ours.id, theirs.name, labels.name, ours.name
            );
            return Err(refused(path, "label", problem, "Give the label set that the file was labelled with"));
        }
    }
    Ok(())
}

/// Refuses a scan that a grid cannot address.
fn check_extent(path: &Path, positions: &[[f32; 3]], grid_size: f64) -> Result<()> {
    let corners = positions.iter().fold([positions[0]; 2], |[low, high], p| {
        [std::array::from_fn(|a| low[a].min(p[a])), std::array::from_fn(|a| high[a].max(p[a]))]
    });
    let mut shifted = corners;
    center_shift(&mut shifted, true);
    if shifted.as_flattened().iter().any(|v| !v.is_finite()) {
        let problem = format!("it spans {:?} to {:?}, too wide for 32-bit coordinates", corners[0], corners[1]);
        return Err(refused(path, "coordinates", problem, "Remove stray points, and give coordinates in metres"));
    }
    Lattice::covering(&shifted, grid_size).map(|_| ()).map_err(|error| match error {
        Error::Argument { what, problem, advice } => Error::Scan { path: path.to_owned(), at: what, problem, advice },
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::augment::testing::scene;
    use pollster::block_on;

    fn of(cloud: PointCloud, labels: &LabelSet) -> Result<LabelledScan> {
        block_on(LabelledScan::from_cloud("rooms/study.ply".as_ref(), cloud, labels, 0.02))
    }

    fn cloud(n: usize) -> PointCloud {
        let LabelledScan { coord, color, normal, segment, .. } = scene(n);
        PointCloud::new(coord, [0.0; 3], Some(color), Some(normal), Some(segment)).unwrap()
    }

    #[test]
    fn a_scan_keeps_its_columns_and_leaves_points_that_are_nowhere_out() {
        let mut given = cloud(40);
        given.positions[3][1] = f32::NAN;
        given.normals.as_mut().unwrap()[5] = [0.0; 3];
        let scan = of(given.clone(), &LabelSet::rooms()).unwrap();
        let expected = scene(40).select(&(0..40).filter(|i| *i != 3).collect::<Vec<_>>());
        assert_eq!((scan.name.as_str(), scan.len()), ("study", 39));
        assert_eq!((&scan.coord, &scan.color, &scan.segment), (&expected.coord, &expected.color, &expected.segment));
        // An unusable normal points up, as the segmenter has it.
        assert_eq!((scan.normal[3], scan.normal[4], scan.normal[5]), (expected.normal[3], UP, expected.normal[5]));
        // Ten of each class, less those of class 3 that are ignored, and the point that is nowhere.
        assert_eq!(scan.class_points(5), [10, 10, 10, 4, 0]);
    }

    #[test]
    fn missing_colours_are_grey_and_missing_normals_estimated() {
        // A floor of 41 by 41 points, 1 cm apart, around the origin, and one point above it: surfaces face upwards.
        let mut positions: Vec<[f32; 3]> =
            (0..1681).map(|i| [(i % 41) as f32 * 0.01, (i / 41) as f32 * 0.01, 0.005]).collect();
        positions.push([0.2, 0.2, 2.0]);
        let bare = PointCloud::new(positions, [0.0; 3], None, None, Some(vec![1; 1682])).unwrap();
        let mut zeros = bare.clone();
        zeros.normals = Some(vec![[0.0; 3]; 1682]);
        for cloud in [bare, zeros] {
            let scan = of(cloud, &LabelSet::rooms()).unwrap();
            assert!(scan.color.iter().all(|color| *color == PointCloud::NEUTRAL_GREY));
            // The plane is exact but for rounding.
            assert!(scan.normal.iter().all(|n| n[0].abs() < 1e-3 && n[1].abs() < 1e-3 && n[2] > 0.999));
        }
    }

    #[test]
    fn labels_outside_the_set_are_told_with_place_and_number() {
        let mut given = cloud(40);
        let labels = given.labels.as_mut().unwrap();
        (labels[9], labels[30], labels[12]) = (21, 21, -2);
        given.positions[0][0] = f32::INFINITY;
        let error = of(given, &LabelSet::rooms()).unwrap_err().to_string();
        assert!(error.starts_with("rooms/study.ply: label: "), "{error}");
        // Places are the file's, whatever has been left out before them.
        assert!(error.contains("-2 (1 points, the first is point 12), 21 (2 points, the first is point 9)"), "{error}");
        let mut many = cloud(40);
        many.labels = Some((100..140).collect());
        assert!(of(many, &LabelSet::rooms()).unwrap_err().to_string().contains("32 more values"));
    }

    #[test]
    fn scans_that_teach_nothing_are_refused() {
        let mut unlabelled = cloud(4);
        unlabelled.labels = None;
        let mut nowhere = cloud(4);
        nowhere.positions.fill([f32::NAN; 3]);
        let mut wide = cloud(4);
        wide.positions[2][0] = 2000.0;
        let mut endless = cloud(4);
        endless.positions.iter_mut().for_each(|p| p[0] = f32::MAX);
        for (cloud, expected) in [
            (unlabelled, "label: the scan has no labels. Give its points an integer property `label`"),
            (nowhere, "coordinates: none of its 4 points has finite coordinates"),
            (PointCloud { labels: Some(Vec::new()), ..PointCloud::default() }, "coordinates: none of its 0 points"),
            (wide, "grid size: the scene's x extent"),
            (endless, "too wide for 32-bit coordinates"),
        ] {
            let error = of(cloud, &LabelSet::rooms()).unwrap_err();
            assert!(matches!(error, Error::Scan { .. }) && error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_that_means_other_classes_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("room.ply");
        crate::scan::write_cloud(&path, &cloud(40), &LabelSet::rooms()).unwrap();
        let scan = LabelledScan::read(&path, &LabelSet::rooms(), 0.02).unwrap();
        assert_eq!((scan.name.as_str(), scan.segment), ("room", scene(40).segment));
        // The first 20 of `rooms` are those of `scannet20`.
        assert!(LabelledScan::read(&path, &LabelSet::scannet20(), 0.02).is_ok());
        let error = LabelledScan::read(&path, &LabelSet::s3dis13(), 0.02).unwrap_err().to_string();
        assert!(error.contains("label 0 is `wall`, and in the set s3dis13 it is `ceiling`"), "{error}");
        // A model that does not name its classes takes any.
        let unnamed = LabelSet::new("unnamed", (0..13).map(|i| (format!("class{i}"), [0; 3])));
        assert!(LabelledScan::read(&path, &unnamed, 0.02).is_ok());
    }
}
