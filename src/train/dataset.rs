//! A folder of labelled scans.

use super::{
    LabelledScan,
    labelled_scan::{name_of, refused},
};
use crate::parallel::prelude::*;
use crate::{Error, LabelSet, Result, scan};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Which part of a data folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// `train/`.
    Train,
    /// `val/`.
    Val,
}

impl Split {
    /// The name of its folder.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

/// How scans are read.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetOptions {
    /// The classes that labels stand for.
    pub labels: LabelSet,
    /// Edge in metres of the voxels that missing normals are estimated from: the model's grid.
    pub grid_size: f64,
    /// Bytes of scans that are kept in memory; the others are read again every time. A point takes 40.
    pub cache_bytes: usize,
}

impl DatasetOptions {
    /// With a cache of 1 GiB.
    pub fn new(labels: LabelSet, grid_size: f64) -> Self {
        Self { labels, grid_size, cache_bytes: 1 << 30 }
    }
}

/// The labelled scans of a folder, in the order of their names.
#[derive(Debug)]
pub struct Dataset {
    entries: Vec<Entry>,
    options: DatasetOptions,
    /// Bytes of the scans that are kept.
    kept_bytes: AtomicUsize,
    class_points: Vec<u64>,
    points: u64,
    warnings: Vec<String>,
}

/// One scan.
#[derive(Debug)]
struct Entry {
    name: String,
    path: Option<PathBuf>,
    /// Once it is here it stays: every scan is read as often as any other, so nothing is gained by making room.
    kept: OnceLock<Arc<LabelledScan>>,
    /// Whether the file has a confidence beside its labels; known once it was read.
    has_confidence: OnceLock<bool>,
}

/// What one look at every scan tells.
struct Survey {
    points: usize,
    class_points: Vec<u64>,
}

impl Dataset {
    /// The scans of `dir/train` or `dir/val`: files that [`crate::scan::read`] knows, and folders of `.npy` columns. All
    /// of them are read once, on all cores, so that a bad one is found before training begins.
    ///
    /// # Errors
    /// [`Error::Argument`] for a folder that is not there, has no scan, or whose points are all to be ignored;
    /// [`Error::Io`]; those of [`LabelledScan::read`], of the first bad scan by name.
    pub fn open(dir: &Path, split: Split, options: DatasetOptions) -> Result<Self> {
        let folder = dir.join(split.name());
        if !folder.is_dir() {
            return Err(Error::Argument {
                what: "data folder".into(),
                problem: format!("{} has no folder `{}`", dir.display(), split.name()),
                advice: "Put labelled scans into its folders `train` and `val`".into(),
            });
        }
        let (paths, warnings) = scans_of(&folder)?;
        Self::of_paths(&folder, paths, options, warnings)
    }

    /// What `pointtpa eval` reads: the scans of `dir/val`, or where there is no such folder those of `dir` itself that
    /// have labels; the others are named in [`Self::warnings`], and so are those whose labels may be a model's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_for_evaluation(dir: &Path, options: DatasetOptions) -> Result<Self> {
        if dir.join(Split::Val.name()).is_dir() {
            return Ok(Self::open(dir, Split::Val, options)?.warned_of_predictions());
        }
        let (paths, mut warnings) = scans_of(dir)?;
        let labelled = paths.par_iter().map(|path| has_labels(path)).collect::<Result<Vec<bool>>>()?;
        let (mut kept, mut unlabelled) = (Vec::new(), Vec::new());
        for (path, is_labelled) in paths.into_iter().zip(labelled) {
            if is_labelled { kept.push(path) } else { unlabelled.push(name_of(&path)) }
        }
        if kept.is_empty() && !unlabelled.is_empty() {
            let problem = format!("none of its {} scans has labels", unlabelled.len());
            return Err(refused(dir, "folder", problem, "Give scans whose points have an integer property `label`"));
        }
        if !unlabelled.is_empty() {
            warnings.push(format!("passed over for want of labels: {}", listed(&unlabelled)));
        }
        Ok(Self::of_paths(dir, kept, options, warnings)?.warned_of_predictions())
    }

    /// With a warning of scans that look like what `pointtpa segment` writes.
    fn warned_of_predictions(mut self) -> Self {
        let predicted = self.entries.iter().filter(|entry| entry.has_confidence.get() == Some(&true));
        let names: Vec<String> = predicted.map(|entry| entry.name.clone()).collect();
        if !names.is_empty() {
            self.warnings.push(format!(
                "labels with a `confidence`, as a model writes them, in {}: this may compare a model with itself",
                listed(&names)
            ));
        }
        self
    }

    /// Scans that are in memory already, in the given order.
    ///
    /// # Errors
    /// [`Error::Argument`] without a scan or a point that has a class, for an empty scan, columns of different length, or
    /// labels outside the set.
    pub fn from_scans(scans: Vec<LabelledScan>, labels: LabelSet) -> Result<Self> {
        for scan in &scans {
            let lengths = [scan.color.len(), scan.normal.len(), scan.segment.len()];
            if scan.is_empty() || lengths != [scan.len(); 3] {
                return Err(Error::Argument {
                    what: format!("scan {}", scan.name),
                    problem: format!("it has {} points, and columns of {lengths:?} rows", scan.len()),
                    advice: "Give at least one point, and every column one row per point".into(),
                });
            }
            if let Some(label) = scan.segment.iter().find(|label| **label != -1 && labels.class(**label).is_none()) {
                return Err(Error::Argument {
                    what: format!("scan {}", scan.name),
                    problem: format!("label {label} is outside the set {} of {} classes", labels.name, labels.len()),
                    advice: "Use the label set of the scans, or write -1 for points to ignore".into(),
                });
            }
        }
        let survey = |scan: &LabelledScan| Survey { points: scan.len(), class_points: scan.class_points(labels.len()) };
        let surveys = scans.iter().map(survey).collect();
        let kept_bytes = scans.iter().map(LabelledScan::bytes).sum();
        let entries = scans.into_iter().map(|scan| Entry {
            name: scan.name.clone(),
            path: None,
            kept: OnceLock::from(Arc::new(scan)),
            has_confidence: OnceLock::new(),
        });
        let dataset = Self {
            entries: entries.collect(),
            // Nothing is read, so the grid of estimated normals is not asked for.
            options: DatasetOptions { cache_bytes: kept_bytes, ..DatasetOptions::new(labels, 0.0) },
            kept_bytes: AtomicUsize::new(kept_bytes),
            class_points: Vec::new(),
            points: 0,
            warnings: Vec::new(),
        };
        dataset.surveyed("scans", surveys)
    }

    fn of_paths(folder: &Path, paths: Vec<PathBuf>, options: DatasetOptions, warnings: Vec<String>) -> Result<Self> {
        let entry = |path: PathBuf| Entry {
            name: name_of(&path),
            path: Some(path),
            kept: OnceLock::new(),
            has_confidence: OnceLock::new(),
        };
        let dataset = Self {
            entries: paths.into_iter().map(entry).collect(),
            options,
            kept_bytes: AtomicUsize::new(0),
            class_points: Vec::new(),
            points: 0,
            warnings,
        };
        let classes = dataset.options.labels.len();
        let look = |index| -> Result<Survey> {
            let scan = dataset.scan(index)?;
            Ok(Survey { points: scan.len(), class_points: scan.class_points(classes) })
        };
        // All results are gathered before the first error is taken, so that it is the same one every time.
        let surveys: Vec<Result<Survey>> = (0..dataset.len()).into_par_iter().map(look).collect();
        let surveys = surveys.into_iter().collect::<Result<_>>()?;
        dataset.surveyed(&folder.display().to_string(), surveys)
    }

    /// Adds up what was found, and refuses what cannot be learned from.
    fn surveyed(mut self, what: &str, surveys: Vec<Survey>) -> Result<Self> {
        let refuse = |problem: &str, advice: &str| {
            Err(Error::Argument { what: what.to_owned(), problem: problem.to_owned(), advice: advice.to_owned() })
        };
        if surveys.is_empty() {
            return refuse(
                "there is no scan here",
                "Give labelled scans (PLY, for example), or folders with coord.npy and segment.npy",
            );
        }
        self.class_points = vec![0; self.options.labels.len()];
        let mut ignored = Vec::new();
        for (entry, survey) in self.entries.iter().zip(surveys) {
            self.points += survey.points as u64;
            self.class_points.iter_mut().zip(&survey.class_points).for_each(|(sum, points)| *sum += points);
            if survey.class_points.iter().all(|points| *points == 0) {
                ignored.push(entry.name.clone());
            }
        }
        if ignored.len() == self.entries.len() {
            return refuse("all labels are -1: every point is to be ignored", "Give points of at least one class");
        }
        if !ignored.is_empty() {
            self.warnings.push(format!("all labels are -1 in {}", listed(&ignored)));
        }
        let missing = self.classes_without_points();
        if !missing.is_empty() {
            let name = |id: &u32| self.options.labels.classes[*id as usize].name.clone();
            let names: Vec<String> = missing.iter().map(name).collect();
            self.warnings.push(format!("no scan has a point of {}", listed(&names)));
        }
        Ok(self)
    }

    /// Number of scans, at least 1.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// The name of a scan: of its file or folder, without the extension.
    ///
    /// # Panics
    /// If there is no scan `index`.
    pub fn name(&self, index: usize) -> &str {
        &self.entries[index].name
    }

    /// The file or folder of a scan; `None` for those of [`Self::from_scans`].
    ///
    /// # Panics
    /// If there is no scan `index`.
    pub fn path(&self, index: usize) -> Option<&Path> {
        self.entries[index].path.as_deref()
    }

    /// A scan, from the cache or read again.
    ///
    /// # Errors
    /// Those of [`LabelledScan::read`], if the file has changed since the dataset was opened; [`Error::Argument`] if
    /// there is no scan `index`.
    pub fn scan(&self, index: usize) -> Result<Arc<LabelledScan>> {
        let entry = self.entries.get(index).ok_or_else(|| Error::Argument {
            what: format!("scan {index}"),
            problem: format!("there are {}", self.entries.len()),
            advice: "Count from 0".into(),
        })?;
        if let Some(scan) = entry.kept.get() {
            return Ok(scan.clone());
        }
        let path = entry.path.as_deref().unwrap_or(Path::new(""));
        let (scan, has_confidence) =
            LabelledScan::read_with_confidence(path, &self.options.labels, self.options.grid_size)?;
        let scan = Arc::new(scan);
        entry.has_confidence.get_or_init(|| has_confidence);
        let bytes = scan.bytes();
        let room = |kept: usize| kept.checked_add(bytes).filter(|all| *all <= self.options.cache_bytes);
        if self.kept_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
            && entry.kept.set(scan.clone()).is_err()
        {
            // Another thread read the same scan meanwhile and has it counted.
            self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(scan)
    }

    /// The classes.
    pub fn labels(&self) -> &LabelSet {
        &self.options.labels
    }

    /// Points of every class over all scans, `[classes]`.
    pub fn class_points(&self) -> &[u64] {
        &self.class_points
    }

    /// Points over all scans, those to ignore included.
    pub fn points(&self) -> u64 {
        self.points
    }

    /// Ids of the classes that no scan has a point of.
    pub fn classes_without_points(&self) -> Vec<u32> {
        (0..).zip(&self.class_points).filter(|(_, points)| **points == 0).map(|(id, _)| id).collect()
    }

    /// What a user should know: classes without points, scans to ignore as a whole, files that are no scans.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// The scans of a folder in the order of their names, and a warning about what else is there.
fn scans_of(folder: &Path) -> Result<(Vec<PathBuf>, Vec<String>)> {
    let failed = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    let mut paths =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    paths.sort();
    let (mut scans, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        if scan::is_scan(&path)? { scans.push(path) } else { others.push(name) }
    }
    let warning = (!others.is_empty()).then(|| format!("passed over, being no scans: {}", listed(&others)));
    Ok((scans, warning.into_iter().collect()))
}

fn has_labels(path: &Path) -> Result<bool> {
    Ok(scan::read(path)?.cloud.labels.is_some())
}

/// The first names of a list.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        PointCloud,
        scan::npy_folder_tests::{coord, segment, write},
        train::augment::testing::scene,
    };

    fn options() -> DatasetOptions {
        DatasetOptions::new(LabelSet::rooms(), 0.02)
    }

    fn cloud(n: usize) -> PointCloud {
        let LabelledScan { coord, color, normal, segment, .. } = scene(n);
        PointCloud::new(coord, [0.0; 3], Some(color), Some(normal), Some(segment)).unwrap()
    }

    fn save(path: &Path, cloud: &PointCloud) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        scan::write_cloud(path, cloud, &LabelSet::rooms()).unwrap();
    }

    #[test]
    fn files_and_folders_come_in_the_order_of_their_names() {
        let dir = tempfile::tempdir().unwrap();
        let train = dir.path().join("train");
        save(&train.join("c.PLY"), &cloud(30));
        save(&train.join("a.scan"), &cloud(20));
        write(&train.join("b"), &[coord(), segment([5, -1])]);
        fs::create_dir(train.join("empty")).unwrap();
        fs::write(train.join("notes.txt"), "ply\u{e4}doyer").unwrap();
        fs::write(train.join(".hidden"), "x").unwrap();
        let dataset = Dataset::open(dir.path(), Split::Train, options()).unwrap();
        assert_eq!((0..3).map(|i| dataset.name(i)).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!((dataset.len(), dataset.points()), (3, 52));
        assert_eq!(dataset.class_points()[..7], [13, 13, 12, 7, 0, 1, 0]);
        assert_eq!(dataset.classes_without_points(), [vec![4], (6..21).collect()].concat());
        assert_eq!(dataset.warnings()[0], "passed over, being no scans: empty, notes.txt");
        assert!(
            dataset.warnings()[1].starts_with("no scan has a point of chair, table, door"),
            "{:?}",
            dataset.warnings()
        );
        assert_eq!(dataset.scan(0).unwrap().coord, scene(20).coord);
        assert_eq!(dataset.path(1), Some(train.join("b").as_path()));
        assert!(dataset.scan(3).unwrap_err().to_string().starts_with("scan 3: there are 3"));
    }

    #[test]
    fn the_cache_keeps_what_fits_and_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for i in 0..4 {
            save(&dir.path().join(format!("train/{i}.ply")), &cloud(100 + i));
        }
        let of =
            |cache_bytes| Dataset::open(dir.path(), Split::Train, DatasetOptions { cache_bytes, ..options() }).unwrap();
        // Scans have 100 to 103 points of 40 bytes.
        for (cache_bytes, kept) in [(0, 0..=0), (9_000, 2..=2), (1 << 30, 4..=4)] {
            let dataset = of(cache_bytes);
            let is_kept = |i: &usize| Arc::ptr_eq(&dataset.scan(*i).unwrap(), &dataset.scan(*i).unwrap());
            let count = (0..4).filter(is_kept).count();
            assert!(kept.contains(&count), "{cache_bytes} bytes keep {count}");
            assert!(dataset.kept_bytes.load(Ordering::Relaxed) <= cache_bytes);
            assert!((0..4).all(|i| dataset.scan(i).unwrap().coord == scene(100 + i).coord));
        }
    }

    #[test]
    fn folders_that_teach_nothing_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Dataset::open(dir.path(), Split::Train, options()).unwrap_err().to_string();
        assert!(open().contains("has no folder `train`"), "{}", open());
        fs::create_dir(dir.path().join("train")).unwrap();
        assert!(open().contains("there is no scan here"), "{}", open());
        let mut ignored = cloud(10);
        ignored.labels = Some(vec![-1; 10]);
        save(&dir.path().join("train/b.ply"), &ignored);
        assert!(open().contains("all labels are -1"), "{}", open());
        save(&dir.path().join("train/a.ply"), &cloud(10));
        let dataset = Dataset::open(dir.path(), Split::Train, options()).unwrap();
        assert_eq!(dataset.warnings()[0], "all labels are -1 in b");
        let unlabelled = PointCloud { labels: None, ..cloud(10) };
        save(&dir.path().join("train/c.ply"), &unlabelled);
        assert!(open().contains("c.ply: label: the scan has no labels"), "{}", open());
        fs::write(dir.path().join("train/aa.ply"), "not a scan").unwrap();
        // The first by name is told, whichever thread was first.
        assert!(open().contains("aa.ply: byte 0"), "{}", open());
    }

    #[test]
    fn evaluation_reads_val_or_the_labelled_scans_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let open = || Dataset::open_for_evaluation(dir.path(), options());
        save(&dir.path().join("b.ply"), &PointCloud { labels: None, ..cloud(10) });
        let error = open().unwrap_err().to_string();
        assert!(error.contains("none of its 1 scans has labels"), "{error}");
        save(&dir.path().join("a.ply"), &cloud(10));
        let dataset = open().unwrap();
        assert_eq!((dataset.len(), dataset.name(0)), (1, "a"));
        assert_eq!(dataset.warnings()[0], "passed over for want of labels: b");
        save(&dir.path().join("val/c.ply"), &cloud(10));
        let dataset = open().unwrap();
        assert_eq!((dataset.len(), dataset.name(0)), (1, "c"));
    }

    #[test]
    fn scans_in_memory_are_checked_too() {
        let of = |scan| Dataset::from_scans(vec![scan], LabelSet::rooms());
        let dataset = of(scene(10)).unwrap();
        assert_eq!((dataset.len(), dataset.path(0), dataset.points()), (1, None, 10));
        let refused = |scan| of(scan).unwrap_err().to_string();
        let wrong = LabelledScan { segment: vec![21; 10], ..scene(10) };
        assert!(refused(wrong).contains("label 21 is outside the set rooms"));
        assert!(refused(LabelledScan { color: Vec::new(), ..scene(10) }).contains("columns of [0, 10, 10] rows"));
        assert!(refused(LabelledScan::default()).contains("0 points"));
        assert!(refused(LabelledScan { segment: vec![-1; 10], ..scene(10) }).contains("all labels are -1"));
        assert!(Dataset::from_scans(Vec::new(), LabelSet::rooms()).is_err());
    }
}
