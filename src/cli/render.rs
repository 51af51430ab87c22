//! `pointtpa render`: a picture of a scan.

pub(crate) mod arguments;

use pointtpa::render::{Picture, Shot, ShotOptions, View, estimated_normals, paint};
use pointtpa::{Error, LabelSet, PointCloud, scan};
use serde_json::json;

use self::arguments::{Color, From, Render};
use super::arguments::Global;
use super::exit::{Failure, Outcome};
use super::{inputs, interrupt, output, png, results, screen};

pub(crate) fn run(global: &Global, command: &Render) -> Outcome {
    if !output::is_stdout(&command.output) && !inputs::ends_in(&command.output, &["png"]) {
        let path = command.output.display();
        return Err(Failure::usage(format!(
            "a picture is a PNG file, and `{path}` is no name of one: give `-o OUT.png`"
        )));
    }
    output::check_writable(&command.output)?;
    let scan = scan::read(&command.scan)?;
    let labels = match &command.classes {
        Some(classes) => LabelSet::find(classes)?,
        None => scan.classes().unwrap_or_else(LabelSet::rooms),
    };
    let cloud = scan.cloud;
    let color = command.color.unwrap_or(match (&cloud.colors, &cloud.labels) {
        (Some(_), _) => Color::Rgb,
        (None, Some(_)) => Color::Label,
        (None, None) => Color::Height,
    });
    let of_scan = |error| inputs::of_scan(&command.scan, error);
    let colors = colors(&cloud, color, &labels).map_err(of_scan)?;
    let view = match command.view {
        From::Iso => View::Iso,
        From::Top => View::Top,
        From::Front => View::Front,
    };
    let options = ShotOptions {
        size: command.size,
        view,
        cut_ceiling: command.cut_ceiling || view == View::Top,
        point_size: command.point_size,
    };
    let shot = pollster::block_on(Shot::of_cloud(&cloud, &options)).map_err(of_scan)?;
    interrupt::check()?;
    let Picture { width, height, pixels } = shot.paint(&colors);
    output::write_bytes(&command.output, &png::encode(width as u32, height as u32, &pixels))?;
    let said = format!("{}: {width} x {height} pixels, {} points", command.output.display(), cloud.len());
    if output::is_stdout(&command.output) {
        screen::say(&said);
        return Ok(());
    }
    if global.json {
        let file = command.output.display().to_string();
        return results::print_json(&json!({"file": file, "width": width, "height": height, "points": cloud.len()}));
    }
    results::print(&said)
}

/// The colour of every point.
fn colors(cloud: &PointCloud, color: Color, set: &LabelSet) -> Result<Vec<[u8; 3]>, Error> {
    let lacks = |what: &str, advice: &str| Error::Argument {
        what: "--color".into(),
        problem: format!("the scan has no {what}"),
        advice: advice.into(),
    };
    Ok(match color {
        Color::Rgb => match &cloud.colors {
            Some(colors) => paint::rgb(Some(colors), cloud.len()),
            None => return Err(lacks("colours", "Use `--color height`, for example")),
        },
        Color::Label => match &cloud.labels {
            Some(labels) => paint::labels(labels, set),
            None => return Err(lacks("labels", "Label it first: `pointtpa segment SCAN -o LABELLED`")),
        },
        Color::Height => paint::heights(&cloud.positions),
        Color::Normal => match &cloud.normals {
            Some(normals) => paint::normals(normals),
            None => paint::normals(&pollster::block_on(estimated_normals(cloud))?),
        },
    })
}
