//! The paper's ablation on synthetic rooms: a model trained on homes is adapted to basements with its backbone frozen,
//! in every way the program has, and written down with its cost.
//!
//! ```sh
//! cargo xtask ablation                  # everything: an hour and a half on two cores
//! cargo xtask ablation --scale 0.02     # a rehearsal: the same runs, a fiftieth of the steps
//! ```
//!
//! It runs the `pointtpa` program, and keeps what each run said in the work folder: a second call goes on where the first
//! one stopped. The table and the chart go to `docs/`, those of a rehearsal to the work folder.

use serde_json::{Value, json};
use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
};

/// A way to adapt: its name, and what tells `pointtpa train` to do it.
const VARIANTS: [(&str, &[&str]); 10] = [
    ("head only", &["--adapter", "none", "--train", "head"]),
    ("LoRA, r = 4", &["--adapter", "lora", "--rank", "4"]),
    ("static adapter", &["--adapter", "adapter"]),
    ("DPP, global (window 0)", &["--adapter", "low-rank", "--rank", "16", "--window", "0"]),
    ("SNG + DPP, r = 4", &["--adapter", "low-rank", "--rank", "4"]),
    ("SNG + DPP, r = 16", &["--adapter", "low-rank", "--rank", "16"]),
    ("SNG + DPP, r = 32", &["--adapter", "low-rank", "--rank", "32"]),
    ("basis_mix (released code)", &["--adapter", "basis-mix"]),
    ("decoder", &["--adapter", "none", "--train", "decoder"]),
    ("full fine-tuning", &["--adapter", "none", "--train", "full"]),
];
const SEEDS: [u64; 3] = [1, 2, 3];
/// Steps of the base, and of each adaptation, at scale 1.
const BASE_STEPS: f64 = 2500.0;
const STEPS: f64 = 200.0;
/// Steps of the runs that only measure what a step costs.
const COST_STEPS: f64 = 30.0;
/// In the chart names hang below the dots, on as many lines as there are neighbours that would overlap.
const LINES: usize = 6;
/// The share of the parameters up to which an adapter is called small.
const SMALL: f64 = 0.1;
/// Scenes to train and to validate on, of homes and of basements, at scale 1.
const HOMES: (f64, f64) = (400.0, 30.0);
const BASEMENTS: (f64, f64) = (40.0, 40.0);
/// What every run has in common: rooms at 6 cm, two at a time, mildly varied: what a short training learns most from.
const COMMON: [&str; 8] = ["--batch", "2", "--max-points", "16000", "--augment", "mild", "--drop-path", "0"];

struct Ablation {
    program: PathBuf,
    work: PathBuf,
    docs: PathBuf,
    scale: f64,
}

fn main() -> ExitCode {
    match Ablation::from_arguments().and_then(|ablation| ablation.run()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("ablation: {problem}");
            ExitCode::FAILURE
        }
    }
}

impl Ablation {
    /// `PROGRAM [--scale S] [--work DIR] [--docs DIR]`
    fn from_arguments() -> Result<Self, String> {
        let mut arguments = std::env::args().skip(1);
        let program = arguments.next().ok_or("name the `pointtpa` program, or use `cargo xtask ablation`")?.into();
        let mut ablation = Self { program, work: "target/ablation".into(), docs: "docs".into(), scale: 1.0 };
        while let Some(option) = arguments.next() {
            let value = arguments.next().ok_or_else(|| format!("{option} needs a value"))?;
            match option.as_str() {
                "--scale" => {
                    ablation.scale = value.parse().map_err(|_| format!("--scale {value}: not a number"))?;
                }
                "--work" => ablation.work = value.into(),
                "--docs" => ablation.docs = value.into(),
                _ => return Err(format!("{option}: not an option; there are --scale, --work and --docs")),
            }
        }
        if !(ablation.scale > 0.0 && ablation.scale <= 1.0) {
            return Err(format!("--scale {}: use above 0 and up to 1", ablation.scale));
        }
        if ablation.scale < 1.0 {
            // A rehearsal leaves the results of the real run alone.
            ablation.work.push(format!("rehearsal-{}", ablation.scale));
            ablation.docs = ablation.work.clone();
        }
        Ok(ablation)
    }

    fn run(&self) -> Result<(), String> {
        fs::create_dir_all(&self.work).map_err(|e| format!("{}: {e}", self.work.display()))?;
        let homes = self.rooms("home", HOMES, 20_000)?;
        let basements = self.rooms("basement", BASEMENTS, 50_000)?;
        let base = self.work.join("base.safetensors");
        let steps = self.scaled(BASE_STEPS).to_string();
        let scratch =
            ["--config", "rooms", "--classes", "rooms", "--grid", "0.06", "--lr", "0.004", "--block-lr", "0.0015"];
        let before = fs::read(self.said("base")).ok();
        let trained = self.train("base", &homes, &base, &[&scratch[..], &["--steps", &steps]].concat())?;
        if before != fs::read(self.said("base")).ok() {
            self.forget_all_but(&["base", "rooms of home", "rooms of basement"])?;
        }
        let arguments = ["eval", "--json", "--model", text(&base)?, "--data", text(&basements)?];
        let before = self.remember("unadapted", &arguments)?;

        let steps = self.scaled(STEPS).to_string();
        let mut accuracies = Vec::new();
        for (name, options) in VARIANTS {
            let mut runs = Vec::new();
            for seed in SEEDS {
                let key = format!("{name}, seed {seed}");
                let output = self.work.join("adapted.safetensors");
                let seed = seed.to_string();
                let own = ["--model", text(&base)?, "--steps", &steps, "--seed", &seed];
                runs.push(self.train(&key, &basements, &output, &[&own[..], options].concat())?);
            }
            accuracies.push(runs);
        }
        // One after the other at the end, so that what they cost was measured under the same conditions.
        let steps = self.scaled(COST_STEPS).to_string();
        let mut rows = Vec::new();
        for ((name, options), runs) in VARIANTS.into_iter().zip(&accuracies) {
            let output = self.work.join("adapted.safetensors");
            let own = ["--model", text(&base)?, "--steps", &steps];
            let cost = self.train(&format!("{name}, cost"), &basements, &output, &[&own[..], options].concat())?;
            rows.push(Row::of(name, runs, &cost)?);
        }
        let page = self.page(&trained, &before, &rows);
        let write = |name: &str, content: &str| {
            let path = self.docs.join(name);
            fs::write(&path, content).map_err(|e| format!("{}: {e}", path.display()))
        };
        write("ablation.md", &page)?;
        write("ablation.svg", &chart(&rows)?)
    }

    fn scaled(&self, full: f64) -> u64 {
        (full * self.scale).ceil().max(2.0) as u64
    }

    /// A folder of rooms of a domain, made once.
    fn rooms(&self, domain: &str, (train, val): (f64, f64), seed: u64) -> Result<PathBuf, String> {
        let folder = self.work.join(domain);
        let [train, val, seed] = [self.scaled(train), self.scaled(val), seed].map(|n| n.to_string());
        let options = ["--count", &train, "--val", &val, "--seed", &seed, "--cell", "0.03", "-o", text(&folder)?];
        self.remember(
            &format!("rooms of {domain}"),
            &[&["synth", "--json", "--domain", domain], &options[..]].concat(),
        )?;
        Ok(folder)
    }

    fn train(&self, key: &str, data: &Path, output: &Path, options: &[&str]) -> Result<Value, String> {
        let run_dir = self.work.join("ablation-run");
        // What an interrupted call left of this run.
        let _ = fs::remove_dir_all(&run_dir);
        let common = ["train", "--json", "--quiet", "--val-every", "0", "--save-every", "0"];
        let places = ["--data", text(data)?, "-o", text(output)?, "--run-dir", text(&run_dir)?];
        self.remember(key, &[&common[..], &places, &COMMON, options].concat())
    }

    /// What a command says, from the work folder if it was run before.
    fn remember(&self, key: &str, arguments: &[&str]) -> Result<Value, String> {
        let path = self.said(key);
        let asked = json!(arguments);
        let known = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
        if let Some(known) = known.filter(|known| known["command"] == asked) {
            return Ok(known["said"].clone());
        }
        println!("==> {key}");
        let mut command = Command::new(&self.program);
        let output = command.args(arguments).stderr(Stdio::inherit()).output();
        let output = output.map_err(|e| format!("{}: {e}", self.program.display()))?;
        if !output.status.success() {
            return Err(format!("{key}: `pointtpa {}` ended with {}", arguments.join(" "), output.status));
        }
        let said: Value = serde_json::from_slice(&output.stdout).map_err(|e| format!("{key}: {e}"))?;
        let text = json!({"command": asked, "said": said}).to_string();
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(said)
    }

    /// The file of what a command said.
    fn said(&self, key: &str) -> PathBuf {
        let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        self.work.join(format!("{name}.json"))
    }

    /// What was said of another base.
    fn forget_all_but(&self, keys: &[&str]) -> Result<(), String> {
        let kept: Vec<PathBuf> = keys.iter().map(|key| self.said(key)).collect();
        let entries = fs::read_dir(&self.work).map_err(|e| format!("{}: {e}", self.work.display()))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "json") && !kept.contains(&path) {
                fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            }
        }
        Ok(())
    }

    fn page(&self, base: &Value, before: &Value, rows: &[Row]) -> String {
        let mut page = String::new();
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let _ = write!(
            page,
            "# Adapting to other rooms\n\n\
             A model of the `rooms` preset, trained from scratch on synthetic homes ({} steps, mIoU {:.1} % on unseen homes),\n\
             meets basements: other shapes, colours and sensor, {} rooms of them to learn from. Without adaptation its mIoU on {}\n\
             unseen basements is {:.1} %: {} of its {} classes occur there, and the others count as zero, as in the\n\
             reference. Every row below is {} runs of {} steps with other seeds; the encoder is frozen but in the last.\n\
             Written by `cargo xtask ablation{}`, on {}.\n\n\
             | adaptation | trained | share | mIoU, mean | spread¹ | step | memory² |\n|---|--:|--:|--:|--:|--:|--:|\n",
            base["steps"],
            100.0 * number(&base["miou"]),
            self.scaled(BASEMENTS.0),
            self.scaled(BASEMENTS.1),
            100.0 * number(&before["miou"]),
            before["classes_present"],
            before["classes"].as_array().map_or(0, Vec::len),
            SEEDS.len(),
            self.scaled(STEPS),
            if self.scale < 1.0 { format!(" --scale {}", self.scale) } else { String::new() },
            base["device"].as_str().unwrap_or("an unknown device"),
        );
        for row in rows {
            let _ = writeln!(
                page,
                "| {} | {} | {:.2} % | {:.1} % | ± {:.1} | {:.2} s | {:.0} MiB |",
                row.name,
                row.trained,
                100.0 * row.share,
                100.0 * row.mean,
                100.0 * row.spread,
                row.seconds,
                row.bytes / 1_048_576.0
            );
        }
        let gain = |row: &Row| 100.0 * (row.mean - number(&before["miou"]));
        let best = |most_share: f64| {
            let rows = rows.iter().filter(|row| row.share <= most_share);
            rows.max_by(|a, b| a.mean.total_cmp(&b.mean)).map(|row| (row.name, gain(row)))
        };
        if let (Some((all, all_gain)), Some((small, small_gain))) = (best(1.0), best(SMALL)) {
            let _ = write!(
                page,
                "\nThe most was gained by {all}: {all_gain:+.1} points. Of what trains at most {:.0} % of the parameters, {small} gained the\n\
                 most: {small_gain:+.1}. Where the means of two rows differ by less than their spreads, or by a tenth, this run does not\n\
                 say which is better.\n",
                100.0 * SMALL,
            );
        }
        let _ = write!(
            page,
            "\n¹ Half the distance from the worst of the runs to the best. ² The most that tensors took at once; like the\n\
             step, in a run of {} steps of its own.\n\n\
             ![mIoU against the share of parameters that learn](ablation.svg)\n",
            self.scaled(COST_STEPS),
        );
        page
    }
}

/// One way to adapt, over its seeds.
struct Row {
    name: &'static str,
    trained: u64,
    share: f64,
    mean: f64,
    spread: f64,
    seconds: f64,
    bytes: f64,
}

impl Row {
    fn of(name: &'static str, runs: &[Value], cost: &Value) -> Result<Self, String> {
        let each = |key: &str| -> Result<Vec<f64>, String> {
            let values = runs.iter().map(|run| run[key].as_f64());
            values.collect::<Option<_>>().ok_or_else(|| format!("{name}: a run did not say its {key}"))
        };
        let measured = |key: &str| cost[key].as_f64().ok_or_else(|| format!("{name}: a run did not say its {key}"));
        let mious = each("miou")?;
        let of_all = |values: &[f64], start: f64, join: fn(f64, f64) -> f64| values.iter().copied().fold(start, join);
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        Ok(Self {
            name,
            trained: runs[0]["trainable"].as_u64().ok_or_else(|| format!("{name}: no number of parameters"))?,
            share: each("trainable")?[0] / each("parameters")?[0],
            mean: mean(&mious),
            spread: (of_all(&mious, f64::MIN, f64::max) - of_all(&mious, f64::MAX, f64::min)) / 2.0,
            seconds: measured("seconds_per_step")?,
            bytes: measured("peak_memory_bytes")?,
        })
    }
}

fn text(path: &Path) -> Result<&str, String> {
    path.to_str().ok_or_else(|| format!("{}: not a readable name", path.display()))
}

/// mIoU over the share of parameters that learn, with its spread.
fn chart(rows: &[Row]) -> Result<String, String> {
    use plotters::prelude::*;
    // It cannot fail: the font is part of the example. Texts are measured by it.
    let _ = plotters::style::register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    let mut svg = String::new();
    let top = 100.0 * rows.iter().map(|row| row.mean + row.spread).fold(f64::MIN, f64::max);
    let low = 100.0 * rows.iter().map(|row| row.mean - row.spread).fold(f64::MAX, f64::min);
    let line = (top - low).max(1.0) / 6.0;
    let bottom = low - line * (LINES + 1) as f64;
    {
        let problem = |e: &dyn std::fmt::Display| format!("chart: {e}");
        let area = SVGBackend::with_string(&mut svg, (860, 480)).into_drawing_area();
        area.fill(&WHITE).map_err(|e| problem(&e))?;
        let mut chart = ChartBuilder::on(&area)
            .margin(16)
            .x_label_area_size(44)
            .y_label_area_size(52)
            .build_cartesian_2d((0.01f64..1000.0).log_scale(), bottom..top + line)
            .map_err(|e| problem(&e))?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("share of the parameters that learn, %")
            .y_desc("mIoU on unseen basements, %")
            .draw()
            .map_err(|e| problem(&e))?;
        let blue = RGBColor(31, 119, 180);
        let mut sorted: Vec<&Row> = rows.iter().collect();
        sorted.sort_by(|a, b| a.share.total_cmp(&b.share));
        for (place, row) in sorted.into_iter().enumerate() {
            let (x, least, most) = (100.0 * row.share, row.mean - row.spread, row.mean + row.spread);
            let name = low - line * (place % LINES + 1) as f64;
            let string = PathElement::new(vec![(x, name), (x, 100.0 * row.mean)], RGBColor(190, 190, 190));
            let bar = PathElement::new(vec![(x, 100.0 * least), (x, 100.0 * most)], blue.stroke_width(2));
            let dot = Circle::new((x, 100.0 * row.mean), 4, blue.filled());
            let label = Text::new(row.name, (x * 1.05, name), ("sans-serif", 13).into_font());
            chart.draw_series([string, bar]).map_err(|e| problem(&e))?;
            chart.draw_series([dot]).map_err(|e| problem(&e))?;
            chart.draw_series([label]).map_err(|e| problem(&e))?;
        }
        area.present().map_err(|e| problem(&e))?;
    }
    Ok(svg)
}
