//! The files that a command line names: files, folders, patterns, and `-`.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use pointtpa::{Error, scan};

use super::exit::{Failure, Outcome};
use super::output::is_stdout;

/// Ends of the names of the files that come out: no folder is called so by intention.
const WRITTEN: [&str; 2] = ["ply", "las"];

/// One scan to read and where to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

/// What to do: one file to one file, or any number into a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Jobs {
    pub(crate) jobs: Vec<Job>,
    /// The folder that takes them, if there is more than one input or the one is a folder or pattern.
    pub(crate) folder: Option<PathBuf>,
}

/// Plans what becomes of `inputs`.
pub(crate) fn plan(inputs: &[PathBuf], output: &Path) -> Outcome<Jobs> {
    let found: Vec<(Vec<PathBuf>, bool)> = inputs.iter().map(|input| expand(input)).collect::<Outcome<_>>()?;
    let several = inputs.len() > 1 || found.iter().any(|(_, is_many)| *is_many);
    let files: Vec<PathBuf> = found.into_iter().flat_map(|(files, _)| files).collect();
    if files.iter().filter(|file| is_stdout(file)).count() > 1 {
        return Err(Failure::usage("standard input (`-`) can be read only once"));
    }
    if !output.is_dir() && scan::ending(output).is_some() && !ends_in(output, &WRITTEN) {
        return Err(Failure::usage(format!(
            "labelled scans are written as PLY or LAS: give `{}` the ending .ply or .las",
            output.display()
        )));
    }
    if !several {
        // A folder takes the single file, too, under its own name.
        let output_of = |input: &Path| if is_folder(output) { output.join(name(input)) } else { output.to_owned() };
        let jobs: Vec<Job> = files.into_iter().map(|input| Job { output: output_of(&input), input }).collect();
        check_names(&jobs)?;
        // A folder that is named as one and is not there yet is made, as for several scans.
        let folder = (is_folder(output) && !output.exists()).then(|| output.to_owned());
        return Ok(Jobs { jobs, folder });
    }
    if is_stdout(output) || output.is_file() || (ends_in(output, &WRITTEN) && !output.is_dir()) {
        return Err(Failure::usage(format!(
            "{} scans need a folder to go to, and `{}` is none: give `-o FOLDER`",
            files.len(),
            output.display()
        )));
    }
    let jobs: Vec<Job> = files.into_iter().map(|input| Job { output: output.join(name(&input)), input }).collect();
    check_names(&jobs)?;
    Ok(Jobs { jobs, folder: Some(output.to_owned()) })
}

/// Whether a path is a folder, or is written as one.
fn is_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// The files behind one argument, and whether it stands for many.
fn expand(input: &Path) -> Outcome<(Vec<PathBuf>, bool)> {
    if input.is_dir() {
        return Ok((scans_in(input)?, true));
    }
    let pattern = input.to_str().filter(|text| text.contains(['*', '?', '[']) && !input.exists());
    let Some(pattern) = pattern else { return Ok((vec![input.to_owned()], false)) };
    let matches = glob::glob(pattern).map_err(|error| Failure::usage(format!("`{pattern}`: {error}")))?;
    // What cannot be read shows as missing when its turn comes, so here it is left out.
    let files: Vec<PathBuf> = matches.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    if files.is_empty() { Err(nothing(input, "no file matches the pattern")) } else { Ok((files, true)) }
}

/// The scan files directly in a folder, by name.
pub(crate) fn scans_in(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let read = |source| Error::Io { action: "read", path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if scan::ending(&path).is_some() && path.is_file() && scan::is_scan(&path)? {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() {
        let endings: Vec<String> = scan::ENDINGS.iter().map(|ending| format!(".{ending}")).collect();
        return Err(nothing(folder, &format!("the folder holds no scan ({})", endings.join(", "))));
    }
    Ok(files)
}

/// Whether a file's name ends in one of these, in capitals or not.
pub(crate) fn ends_in(path: &Path, ends: &[&str]) -> bool {
    path.extension().is_some_and(|own| ends.iter().any(|end| own.eq_ignore_ascii_case(end)))
}

/// Fails in words for newcomers if there is no such scan.
pub(crate) fn check_there(path: &Path) -> Outcome {
    if is_stdout(path) || path.exists() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.is_dir());
    let problem = match parent {
        Some(parent) => format!("there is no folder {}", parent.display()),
        None => "there is no such file or folder".to_owned(),
    };
    Err(nothing(path, &format!("{problem}. Check the name, or name the folder of the scans")))
}

fn nothing(path: &Path, problem: &str) -> Failure {
    Failure { code: super::exit::BAD_INPUT, message: format!("{}: {problem}", path.display()) }
}

/// What a labelled scan is called in a folder: as the scan is, with the ending of PLY in place of one that is only read.
fn name(input: &Path) -> PathBuf {
    if is_stdout(input) {
        return PathBuf::from("stdin.ply");
    }
    let name = PathBuf::from(input.file_name().unwrap_or_else(|| OsStr::new("scan.ply")));
    match scan::ending(&name) {
        None => name,
        Some(_) if ends_in(&name, &WRITTEN) => name,
        // Without `.gz`, because what comes out is not gzip'd.
        Some(ending) if !ends_in(&name, &[ending]) => name.with_extension("").with_extension("ply"),
        Some(_) => name.with_extension("ply"),
    }
}

/// Refuses to write two scans to one file, or over an input.
fn check_names(jobs: &[Job]) -> Outcome {
    let mut taken: HashMap<&Path, &Path> = HashMap::new();
    for Job { input, output } in jobs {
        if let Some(other) = taken.insert(output, input) {
            return Err(Failure::usage(format!(
                "{} and {} would both be written to {}: label them in two runs",
                other.display(),
                input.display(),
                output.display()
            )));
        }
        if output.exists() && output.canonicalize().ok() == input.canonicalize().ok() {
            return Err(Failure::usage(format!(
                "{} would be overwritten by its labelled copy: give another folder",
                input.display()
            )));
        }
    }
    Ok(())
}

/// The options have been checked, so what is wrong with the arguments is wrong with the scan.
pub(crate) fn of_scan(path: &Path, error: Error) -> Failure {
    let is_scan = matches!(error, Error::Argument { .. });
    let failure = Failure::from(error);
    if !is_scan {
        return failure;
    }
    Failure { code: super::exit::BAD_INPUT, message: format!("{}: {}", path.display(), failure.message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn one_scan_goes_to_a_file_and_several_to_a_folder() {
        let one = plan(&paths(&["a/x.ply"]), Path::new("out.ply")).unwrap();
        assert_eq!(one.jobs, [Job { input: "a/x.ply".into(), output: "out.ply".into() }]);
        assert_eq!(one.folder, None);
        let two = plan(&paths(&["a/x.ply", "y.ply"]), Path::new("out")).unwrap();
        let outputs: Vec<&Path> = two.jobs.iter().map(|job| job.output.as_path()).collect();
        assert_eq!(outputs, [Path::new("out/x.ply"), Path::new("out/y.ply")]);
    }

    #[test]
    fn folders_and_patterns_stand_for_the_scans_in_them() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.ply", "a.PLY", "notes.txt", "c.pcd", "labelled.las", "d.csv.gz"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        fs::write(folder.path().join("points.txt"), "1 2 3\n").unwrap();
        let all = vec!["a.PLY", "b.ply", "c.ply", "labelled.las", "points.ply"];
        for (argument, expected) in [("", all), ("*.ply", vec!["b.ply"])] {
            let jobs = plan(&[folder.path().join(argument)], Path::new("out")).unwrap().jobs;
            let outputs: Vec<PathBuf> = jobs.into_iter().map(|job| job.output).collect();
            let expected: Vec<PathBuf> = expected.into_iter().map(|name| Path::new("out").join(name)).collect();
            assert_eq!(outputs, expected);
        }
        let nothing = plan(&[folder.path().join("*.laz")], Path::new("out")).unwrap_err();
        assert_eq!(nothing.code, super::super::exit::BAD_INPUT);
        let over = plan(&[folder.path().to_owned()], folder.path()).unwrap_err();
        assert!(over.message.contains("overwritten"), "{}", over.message);
    }

    #[test]
    fn what_comes_out_is_called_what_it_is() {
        let names = ["a.pcd", "a.LAZ", "a.b.xyz", "a.las", "a.ply.gz", "a.PLY", "a.dat", "-"];
        let outputs = names.map(|input| name(Path::new(input)));
        let expected = ["a.ply", "a.ply", "a.b.ply", "a.las", "a.ply", "a.PLY", "a.dat", "stdin.ply"];
        assert_eq!(outputs, expected.map(PathBuf::from));
        let failure = plan(&paths(&["a.pcd"]), Path::new("out.laz")).unwrap_err();
        assert_eq!(failure.code, super::super::exit::USAGE);
        assert!(failure.message.contains("written as PLY or LAS"), "{}", failure.message);
    }

    #[test]
    fn two_scans_of_one_name_are_refused() {
        assert!(plan(&paths(&["a/x.ply", "b/x.pcd"]), Path::new("out")).is_err());
        let failure = plan(&paths(&["a/x.ply", "b/x.ply"]), Path::new("out")).unwrap_err();
        assert_eq!(failure.code, super::super::exit::USAGE);
        assert!(failure.message.contains("a/x.ply and b/x.ply"), "{}", failure.message);
    }
}
