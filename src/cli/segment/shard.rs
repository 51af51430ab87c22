//! `--shard`: a part of the scans, so that several machines share a folder.

use std::str::FromStr;

use crate::inputs::Job;

/// Part `index` of `count`, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shard {
    index: usize,
    count: usize,
}

impl Shard {
    /// The jobs of this part: of all, sorted by path, the first part takes the first, the second the second, and so on in turn.
    ///
    /// Neither the order of the command line nor that of the folder matters, so every machine cuts alike as long as the
    /// scans are the same.
    pub(crate) fn of(self, mut jobs: Vec<Job>) -> Vec<Job> {
        jobs.sort_by(|a, b| a.input.cmp(&b.input));
        jobs.into_iter().skip(self.index - 1).step_by(self.count).collect()
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let numbers = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) => Ok(Self { index, count }),
            _ => Err("a part of the scans is needed: 1/4 to 4/4 are the four quarters".to_owned()),
        }
    }
}

impl std::fmt::Display for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(names: impl IntoIterator<Item = usize>) -> Vec<Job> {
        let job = |i| Job { input: format!("in/{i:02}.ply").into(), output: format!("out/{i:02}.ply").into() };
        names.into_iter().map(job).collect()
    }

    #[test]
    fn shards_take_scans_in_turn_by_path() {
        let of = |text: &str| text.parse::<Shard>().unwrap().of(jobs([3, 0, 4, 1, 2]));
        assert_eq!(of("1/2"), jobs([0, 2, 4]));
        assert_eq!(of("2/2"), jobs([1, 3]));
        assert_eq!(of("1/1"), jobs(0..5));
        assert_eq!(of("6/6"), jobs([]));
    }

    #[test]
    fn shards_are_disjoint_and_complete() {
        for scans in 0..12 {
            for count in 1..8 {
                let shards = (1..=count).map(|index| Shard { index, count }.of(jobs((0..scans).rev())));
                let mut all: Vec<Job> = shards.flatten().collect();
                all.sort_by(|a, b| a.input.cmp(&b.input));
                assert_eq!(all, jobs(0..scans), "{scans} scans in {count} shards");
            }
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for wrong in [
            "",
            "1",
            "/",
            "0/4",
            "5/4",
            "1/0",
            "0/0",
            "-1/4",
            "+1/4",
            "1/4/2",
            "1 / 4",
            "a/b",
            "1/99999999999999999999",
        ] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert_eq!("2/3".parse::<Shard>().unwrap().to_string(), "2/3");
    }
}
