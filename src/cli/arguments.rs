//! The command line.

#![allow(clippy::doc_markdown, reason = "these comments are what `--help` prints")]

use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use pointtpa::device::DeviceChoice;
use pointtpa::model::preset::{AdapterChoice, Preset};
use pointtpa::scan::{OutputFormat, Up};

use super::bench::arguments::Bench;
use super::convert::arguments::Convert;
use super::eval::arguments::Eval;
use super::memory_size::MemorySize;
use super::render::arguments::Render;
use super::segment::shard::Shard;
use super::train::arguments::Train;

const EXAMPLES: &str = "\
Examples:
  pointtpa info scan.ply
  pointtpa init --config rooms -o model.safetensors
  pointtpa segment scan.ply -o labelled.ply --model model.safetensors
  pointtpa segment scans/*.ply -o labelled/ --model model.safetensors --device cpu

Results go to standard output, messages and progress to standard error.

Exit codes: 0 done, 1 bad input, 2 usage, 3 no adapter, 4 out of memory, 5 device lost, 130 cancelled";

const DOCTOR: &str = "\
All adapters are examined, those that are programs on the CPU, too; --device takes one. Exits with 0 if every kernel agrees
with its twin on the CPU within its tolerance, else with 1. Reports of faults are most useful with what --json prints.

Examples:
  pointtpa doctor
  pointtpa doctor --device llvmpipe --json > doctor.json";

/// Segment 3D scans with Point Transformer V3 and PointTPA adapters, on any GPU or the plain CPU.
#[derive(Debug, Parser)]
#[command(name = "pointtpa", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Where to compute: `auto` takes a GPU, else the CPU; a software adapter only runs by (part of) its name
    #[arg(long, global = true, value_name = "auto|gpu|cpu|NAME", default_value = "auto", value_parser = device_choice)]
    pub(crate) device: DeviceChoice,

    /// Most memory that tensors may take, for example 4G or 512M [default: no limit]; `segment` keeps the scan within it, too, or
    /// else within what is free
    #[arg(long, global = true, value_name = "SIZE")]
    pub(crate) memory: Option<MemorySize>,

    /// Print results as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say nothing on standard error but what went wrong
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Segment(Segment),
    Eval(Eval),
    Check(Check),
    Info(Info),
    Init(Init),
    Convert(Convert),
    Synth(Synth),
    Render(Render),
    Bench(Bench),
    Train(Box<Train>),
    Serve(Serve),
    /// Examine this machine: its adapters, and every kernel on each of them against the CPU
    #[command(after_help = DOCTOR)]
    Doctor,
    /// Print a completion script for a shell
    #[command(after_help = "Example:\n  pointtpa completions bash > /etc/bash_completion.d/pointtpa")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    #[command(hide = true)]
    Man {
        /// The folder for them
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Label every point of scans
#[derive(Debug, Args)]
#[command(after_help = "\
The ending of OUT says what is written, PLY if it has none:
  .ply           every property of a PLY input, in order, of others what they say of their points, and with them `label` (int),
                 `scalar_Classification` (float, the same value), `confidence` (float) and one comment per class
  .las, .laz     LAS 1.4: coordinates, colours, intensity, time, the class as each point's classification (floor is 2, ground;
                 others from 64), label, confidence and every other value as extra dimensions; points without coordinates
                 are left out
  .csv           x y z, every other value, label, class_name, confidence
  .npy           the labels, int32
  .npz           arrays coord, color, normal, label, confidence
  .ply.gz, .csv.gz
Beside .las, .laz, .npy and .npz goes OUT.classes.json with the classes. In a folder, scans keep their names; without --format
.las stays .las, and all others become .ply.

--class-map takes JSON, from names of the model's classes to other ones, or to null for points to leave without a class (-1):
  {\"wall\": {\"id\": 6, \"name\": \"building\", \"color\": [174, 199, 232], \"las\": 6}, \"picture\": null}
`color` and `las`, the code in LAS files, may be left out. Classes that are not named stay as they are. It relabels results:
where several classes become one, their probabilities are not added up.

Text has a point per line, separated by blanks, commas or semicolons. The first line may name the columns; else 3 are
x y z, 4 x y z intensity, 6 x y z r g b (or normals, if some are negative), 7 x y z intensity r g b, and 9 x y z r g b
nx ny nz. Of a folder, texts are taken if there are such points in them. A .npy array of [n, 3] to [n, 9] has the same
columns, or x y z r g b label of 7. A .npz archive, or a folder as Pointcept's preprocessing writes it, has the arrays coord,
color, normal and segment, of which coord must be there. The scans of an E57 file are joined.

A batch goes on after a bad scan, lists the failures at the end and exits with the code of the first. With --json it prints
a line of JSON per scan, in the order of the scans, each as soon as it and those before it are done: of one that failed
with `file`, `error` and `code`, of one that --resume skips with `file`, `output`, `labelled_already`.

Examples:
  pointtpa segment scan.ply -o labelled.ply --model model.safetensors
  pointtpa segment scans/ more/*.ply -o labelled/ --model model.safetensors --resume
  pointtpa segment scans/ -o labelled/ --format laz --class-map city.json
  pointtpa segment scans/ -o labelled/ --shard 1/4 --jobs 2 --json > part1.jsonl
  pointtpa segment scan.ply -o labelled.ply --model base.safetensors --adapter mine.safetensors
  pointtpa segment scan.ply -o features.ply --model sonata.pth --features pca
  pointtpa segment - -o - --model model.safetensors < scan.ply > labelled.ply")]
#[allow(clippy::struct_excessive_bools, reason = "they are the flags of a command line")]
pub(crate) struct Segment {
    /// Scans (PLY, PCD, LAS, LAZ, E57, XYZ, CSV, NPY, NPZ; also gzip'd), folders of them, or patterns; `-` is standard input
    #[arg(value_name = "IN", required = true)]
    pub(crate) inputs: Vec<PathBuf>,

    /// The labelled file, or the folder for those of several scans; `-` is standard output
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,

    /// The model file, or a PyTorch checkpoint [default: the one built into the program]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) model: Option<PathBuf>,

    /// An adapter file to lay over the model, which must be the one it was trained on
    #[arg(long, value_name = "FILE")]
    pub(crate) adapter: Option<PathBuf>,

    /// Edge of a voxel in metres [default: the model's]
    #[arg(long, value_name = "METRES", value_parser = length::<f64>)]
    pub(crate) grid: Option<f64>,

    /// The direction of the scan that is up: +x, -x, +y, -y, +z or -z [default: +z, unless the scan seems to have y up or
    /// down]. Only what the model sees is turned
    #[arg(long, value_name = "AXIS", value_parser = up, allow_hyphen_values = true)]
    pub(crate) up: Option<Up>,

    /// What makes metres of the scan's coordinates: 0.001 for millimetres. Only what the model sees is scaled
    #[arg(long, value_name = "FACTOR", value_parser = factor, allow_negative_numbers = true)]
    pub(crate) scale: Option<f64>,

    /// Look at the scan from 13 views and add up what the model says of each: more accurate, and slower by 13 times the
    /// points of the fullest voxel
    #[arg(long)]
    pub(crate) tta: bool,

    /// Cut the scan into tiles that overlap: `auto` if it takes more memory than `--memory`, or than is free; `off`; or their
    /// edge in metres
    #[arg(long, value_name = "auto|off|METRES", default_value = "auto", value_parser = tiling)]
    pub(crate) tiles: Tiling,

    /// Paint the points in the colours of their classes
    #[arg(long)]
    pub(crate) recolor: bool,

    /// What files in a folder, or on standard output, are written as [default: PLY, and LAS for LAS]
    #[arg(long, value_name = "FORMAT", value_parser = format())]
    pub(crate) format: Option<OutputFormat>,

    /// Other names, ids, colours and LAS codes for the classes, from a JSON file
    #[arg(long, value_name = "FILE")]
    pub(crate) class_map: Option<PathBuf>,

    /// Write no labels, but what the backbone says of every point: `pca` paints the points by the first three principal
    /// components of their features (.ply), `raw` are the features, float32 [points, channels], NaN for points without
    /// coordinates (.npy). The model may lack its head
    #[arg(long, value_enum, conflicts_with_all = ["tta", "recolor", "class_map", "format"])]
    pub(crate) features: Option<Features>,

    /// Skip scans whose labelled file is there already
    #[arg(long)]
    pub(crate) resume: bool,

    /// How many scans to label at once. On the CPU they share its threads; a GPU, and a CPU with `--memory`, compute one at a
    /// time, while others are read and written. All are in main memory. The files, and the order of what is printed, are the
    /// same for any number
    #[arg(long, value_name = "N", default_value = "1", value_parser = scans_at_once)]
    pub(crate) jobs: usize,

    /// Take a part of the scans: of all, sorted by path, 1/4 takes the 1st, 5th, 9th ..., 2/4 the 2nd, 6th ..., up to 4/4.
    /// For several machines that share a folder whose scans stay the same meanwhile
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,

    /// Start parameters that the model file lacks at random, and name them
    #[arg(long)]
    pub(crate) allow_missing: bool,

    /// Seed of the parameters that `--allow-missing` starts at random
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Features {
    /// As colours
    Pca,
    /// As numbers
    Raw,
}

/// Prove a device right: run golden files and compare every tensor the reference recorded
#[derive(Debug, Args)]
#[command(after_help = "\
Integers must be equal, floats within the tolerance of their file. Exits with 0 only if everything holds, else with 1.

Examples:
  pointtpa check tests/goldens/*.safetensors
  pointtpa check golden.safetensors --device llvmpipe --json")]
pub(crate) struct Check {
    /// Golden files: a model with the inputs, steps and outputs of a run of the reference
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
}

/// Say what a scan, a model file or an adapter file holds
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  pointtpa info scan.ply\n  pointtpa info model.safetensors --json")]
pub(crate) struct Info {
    /// A scan, a model file or an adapter file, told apart by content; `-` is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// Write a new, untrained model file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pointtpa init -o rooms.safetensors
  pointtpa init -o base.safetensors --config base --adapter low-rank --classes scannet20 --dtype f16
  pointtpa init -o own.safetensors --config small --classes classes.json --seed 7")]
pub(crate) struct Init {
    /// The model file; `-` is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// The network
    #[arg(long, value_enum, default_value_t = Network::Rooms)]
    pub(crate) config: Network,

    /// The adapter
    #[arg(long, value_enum, default_value_t = AdapterName::LowRank)]
    pub(crate) adapter: AdapterName,

    /// The classes: scannet20, scannet200, scannetpp100, s3dis13, rooms, or a JSON file of `[{"id", "name", "color"}]`
    /// [default: rooms for the rooms network, else scannet20]
    #[arg(long, value_name = "SET|FILE")]
    pub(crate) classes: Option<String>,

    /// The same seed gives the same model on every machine
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,

    /// How the weights are stored
    #[arg(long, value_enum, default_value_t = Storage::F32)]
    pub(crate) dtype: Storage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Network {
    /// The published ScanNet configuration: encoder head, for a GPU with some memory
    Base,
    /// Point Transformer V3's default configuration with a decoder
    Small,
    /// Four shallow stages with a decoder: rooms on a CPU
    Rooms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AdapterName {
    /// None
    None,
    /// Static low-rank deltas
    Lora,
    /// A static bottleneck in every block
    #[value(alias = "bottleneck")]
    Adapter,
    /// Dynamic low-rank deltas, generated per patch (the paper's projector)
    #[value(alias = "low_rank")]
    LowRank,
    /// Dynamic bottlenecks, mixed of bases per patch (the released code's projector)
    #[value(alias = "basis_mix")]
    BasisMix,
}

impl From<Network> for Preset {
    fn from(network: Network) -> Self {
        match network {
            Network::Base => Self::Base,
            Network::Small => Self::Small,
            Network::Rooms => Self::Rooms,
        }
    }
}

impl From<AdapterName> for AdapterChoice {
    fn from(name: AdapterName) -> Self {
        match name {
            AdapterName::None => Self::None,
            AdapterName::Lora => Self::Lora,
            AdapterName::Adapter => Self::Bottleneck,
            AdapterName::LowRank => Self::LowRank,
            AdapterName::BasisMix => Self::BasisMix,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Storage {
    /// 32-bit floats
    F32,
    /// 16-bit floats
    F16,
    /// 16-bit floats with the range of 32-bit ones
    Bf16,
}

/// Make labelled scans of synthetic rooms, as a simulated depth camera sees them
#[derive(Debug, Args)]
#[command(after_help = "\
Without --val the scenes stand in DIR; with it, in DIR/train and DIR/val. Scene i has seed S + i, so a longer run
starts with the same scenes as a shorter one, and no scene to validate on is ever one to train on.

A walk goes through the whole room; its scan stands level in the room's axes and has normals. A glance is one to three
pictures from one place, as a depth camera on a tripod gives: most of the room is hidden, depths are stepped, pixels fly
at edges, there are no normals, and half of the time the axes are the camera's, so that the floor is tilted.

Examples:
  pointtpa synth -o rooms --count 10
  pointtpa synth -o offices --count 200 --val 20 --domain office --seed 1
  pointtpa synth -o rooms --count 600 --val 60 --domain mixed")]
pub(crate) struct Synth {
    /// The folder to write the scans to, as PLY files
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// How many scenes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: u64,

    /// How many scenes more to validate on
    #[arg(long, value_name = "M")]
    pub(crate) val: Option<u64>,

    /// The kind of building, and of camera
    #[arg(long, value_enum, default_value_t = Building::Home)]
    pub(crate) domain: Building,

    /// The first scene's seed
    #[arg(long, value_name = "S", default_value_t = 0, value_parser = clap::value_parser!(u64).range(..1 << 32))]
    pub(crate) seed: u64,

    /// How the camera goes about its rooms
    #[arg(long, value_enum, default_value_t = Looks::Mixed)]
    pub(crate) views: Looks,

    /// Side in metres of the cells of which each keeps one point
    #[arg(long, value_name = "METRES", default_value_t = pointtpa::synth::Collection::CELL, value_parser = length::<f32>)]
    pub(crate) cell: f32,
}

/// Show the page for browsers on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
The page is what `cargo xtask web` builds. It is served to this machine alone, until Ctrl-C; scans that are dropped on it
stay in the browser.

Examples:
  pointtpa serve
  pointtpa serve --port 9000 --page /opt/pointtpa/page --no-open")]
pub(crate) struct Serve {
    /// The folder of the page [default: `page` beside the program, else web/dist]
    #[arg(long, value_name = "DIR")]
    pub(crate) page: Option<PathBuf>,

    /// The port on this machine; 0 takes any that is free
    #[arg(long, value_name = "N", default_value_t = 8340)]
    pub(crate) port: u16,

    /// Leave it to the user to open a browser
    #[arg(long)]
    pub(crate) no_open: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Looks {
    /// One scene in three seen from one place, the others on a walk
    Mixed,
    /// A walk through the whole room, looking around
    Walk,
    /// One to three pictures from one place: most of the room is hidden, and the axes are often the camera's
    Glance,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Building {
    /// Living rooms, bedrooms, kitchens, bathrooms, studies
    Home,
    /// Offices, meeting rooms, tea kitchens
    Office,
    /// Low, bare and dark rooms with pipes, seen by a noisier camera
    Basement,
    /// Homes and offices, three to two
    Mixed,
}

impl Building {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Home => "home",
            Self::Office => "office",
            Self::Basement => "basement",
            Self::Mixed => "mixed",
        }
    }
}

/// A positive length in metres.
pub(crate) fn length<T: std::str::FromStr + PartialOrd + From<f32>>(text: &str) -> Result<T, String> {
    match text.parse::<T>() {
        // Also refuses NaN, which is not less than anything.
        Ok(metres) if metres > T::from(0.0) && metres < T::from(1e6) => Ok(metres),
        _ => Err("a length in metres is needed, greater than 0".to_owned()),
    }
}

/// What `--tiles` says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Tiling {
    Auto,
    Off,
    /// Edge in metres.
    Edge(f64),
}

fn tiling(text: &str) -> Result<Tiling, String> {
    match text {
        "auto" => Ok(Tiling::Auto),
        "off" => Ok(Tiling::Off),
        text => length(text).map(Tiling::Edge).map_err(|_| "auto, off or a length in metres is needed".to_owned()),
    }
}

/// A format by its ending.
fn format() -> impl TypedValueParser<Value = OutputFormat> {
    PossibleValuesParser::new(OutputFormat::ALL.map(OutputFormat::ending)).map(|ending| {
        let is_it = |format: &OutputFormat| format.ending() == ending;
        OutputFormat::ALL.into_iter().find(is_it).unwrap_or(OutputFormat::Ply)
    })
}

fn scans_at_once(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=1024).contains(number));
    number.ok_or_else(|| "a number of scans is needed, 1 to 1024".to_owned())
}

/// A positive factor.
fn factor(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if factor > 0.0 && factor.is_finite() => Ok(factor),
        _ => Err("a factor is needed, greater than 0: 0.001 makes metres of millimetres".to_owned()),
    }
}

fn up(text: &str) -> Result<Up, String> {
    Up::from_name(text).ok_or_else(|| "a direction is needed: +x, -x, +y, -y, +z or -z".to_owned())
}

/// An empty name would be part of every adapter's.
fn device_choice(text: &str) -> Result<DeviceChoice, String> {
    if text.is_empty() {
        return Err("name a device, or leave the option out".into());
    }
    text.parse().map_err(|error: std::convert::Infallible| match error {})
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn both_spellings_of_an_adapter_are_understood() {
        for spelling in ["low-rank", "low_rank"] {
            let arguments = Arguments::try_parse_from(["pointtpa", "init", "-o", "x", "--adapter", spelling]);
            let Command::Init(init) = arguments.unwrap().command else { panic!("another command") };
            assert_eq!(init.adapter, AdapterName::LowRank);
        }
    }
}
