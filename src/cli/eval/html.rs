//! The report's page: one file, everything in it, no script.

use maud::{DOCTYPE, Markup, PreEscaped, html};
use pointtpa::scan::Class;

use super::evaluation::{Evaluation, Scene};
use super::text::percent;

const STYLE: &str = include_str!("style.css");
/// How many of the most frequent mistakes are listed.
const MISTAKES: usize = 10;

/// The page; `confusion` is the confusion matrix as a PNG file.
pub(super) fn page(evaluation: &Evaluation, confusion: &[u8]) -> String {
    let Evaluation { scores, labels, scenes, .. } = evaluation;
    let absent = labels.len() - scores.present;
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "Evaluation: mIoU " (share(scores.miou)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "Evaluation" }
                    p.soft { (evaluation.model) " on " (evaluation.data) }
                    div.numbers {
                        (number("mIoU", scores.miou))
                        (number("mAcc", scores.macc))
                        (number("allAcc", scores.all_acc))
                        @if absent > 0 { (number("mIoU of classes that occur", scores.miou_present)) }
                    }
                    p.soft {
                        "Means over all " (labels.len()) " classes"
                        @if absent > 0 { "; " (absent) " of them do not occur, and count as 0" }
                        ". Points without a true class are left out."
                    }
                    @for warning in &evaluation.warnings { p { "Warning: " (warning) } }
                    h2 { "Classes" }
                    (class_table(evaluation))
                    h2 { "Confusion" }
                    img.chart alt="Confusion matrix: rows are true classes, columns predicted ones" src=(data_uri(confusion));
                    (mistakes(evaluation))
                    h2 { "Scenes" }
                    (scene_table(scenes))
                    @if scenes.iter().any(|scene| scene.pictures.is_some()) { (pictures(evaluation)) }
                    h2 { "How it was measured" }
                    (measured(evaluation))
                }
            }
        }
    };
    markup.into_string()
}

fn number(name: &str, value: f64) -> Markup {
    html! { div.number { b { (share(value)) } (name) } }
}

fn class_table(evaluation: &Evaluation) -> Markup {
    let scores = &evaluation.scores;
    html! {
        div.wide {
            table {
                thead { tr { th { "class" } th { "IoU" } th { "accuracy" } th.right { "points" } th.right { "share" } } }
                tbody {
                    @for (class, of) in evaluation.labels.classes.iter().zip(&scores.classes) {
                        tr.absent[of.points == 0] {
                            td { (swatch(class)) (class.name) }
                            @if of.points > 0 {
                                td { (bar("bar", of.iou)) }
                                td { (bar("bar second", of.accuracy)) }
                            } @else {
                                td colspan="2" { "does not occur" @if of.predicted > 0 { ", predicted at " (of.predicted) " points" } }
                            }
                            td.right { (of.points) }
                            td.right { (percent(of.points as f64 / scores.points.max(1) as f64)) }
                        }
                    }
                }
            }
        }
    }
}

fn bar(class: &str, value: f64) -> Markup {
    html! { div class=(class) { i style=(format!("--share: {:.1}%", 100.0 * value)) {} span { (share(value)) } } }
}

fn mistakes(evaluation: &Evaluation) -> Markup {
    let mistakes = evaluation.mistakes(MISTAKES);
    let class = |id: usize| &evaluation.labels.classes[id];
    html! {
        @if !mistakes.is_empty() {
            h3 { "Most frequent mistakes" }
            div.wide {
                table {
                    thead { tr { th { "truth" } th { "taken for" } th.right { "points" } th.right { "of the class" } } }
                    tbody {
                        @for mistake in &mistakes {
                            tr {
                                td { (swatch(class(mistake.truth))) (class(mistake.truth).name) }
                                td { (swatch(class(mistake.prediction))) (class(mistake.prediction).name) }
                                td.right { (mistake.points) }
                                td.right { (percent(mistake.share)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn scene_table(scenes: &[Scene]) -> Markup {
    html! {
        div.wide {
            table {
                thead {
                    tr {
                        th { "scan" } th { "mIoU of its classes" } th { "allAcc" }
                        th.right { "points" } th.right { "voxels" } th.right { "seconds" }
                    }
                }
                tbody {
                    @for scene in scenes {
                        tr {
                            td { (scene.name) }
                            td { (bar("bar", scene.scores.miou_present)) }
                            td { (bar("bar second", scene.scores.all_acc)) }
                            td.right { (scene.scores.points) }
                            td.right { (scene.voxels) }
                            td.right { (format!("{:.1}", scene.seconds)) }
                        }
                    }
                }
            }
        }
    }
}

fn pictures(evaluation: &Evaluation) -> Markup {
    let figure = |name: &str, scene: &Scene, png: &[u8]| {
        html! {
            figure {
                img loading="lazy" alt=(format!("{}: {name}", scene.name)) src=(data_uri(png));
                figcaption { (name) }
            }
        }
    };
    html! {
        @for scene in &evaluation.scenes {
            @if let Some(pictures) = &scene.pictures {
                h3 { (scene.name) }
                div.scene {
                    (figure("input", scene, &pictures.input))
                    (figure("truth", scene, &pictures.truth))
                    (figure("prediction", scene, &pictures.prediction))
                    (figure("errors, in red", scene, &pictures.errors))
                }
                div.legend {
                    @for (class, of) in evaluation.labels.classes.iter().zip(&scene.scores.classes) {
                        @if of.points > 0 || of.predicted > 0 { span { (swatch(class)) (class.name) } }
                    }
                }
            }
        }
    }
}

fn measured(evaluation: &Evaluation) -> Markup {
    let scores = &evaluation.scores;
    html! {
        dl {
            dt { "model" } dd { (evaluation.model) }
            dt { "data" } dd { (evaluation.data) ", " (evaluation.scenes.len()) " scans" }
            dt { "points" } dd { (scores.points) " with a class, " (scores.ignored) " ignored" }
            dt { "classes" } dd { (evaluation.labels.name) ", " (evaluation.labels.len()) }
            dt { "voxels" } dd { (evaluation.grid_size) " m" }
            dt { "views" } dd { @if evaluation.tta { "13 of every scan, in fragments (test-time augmentation)" } @else { "one" } }
            dt { "device" } dd { (evaluation.device) }
            dt { "time" } dd { (format!("{:.1} s", evaluation.seconds)) }
        }
        p.soft {
            "IoU: points found, of those that are of a class or were taken for it. Accuracy: points found, of those \
             that are of the class. allAcc: points found, of all."
        }
    }
}

fn swatch(class: &Class) -> Markup {
    let [red, green, blue] = class.color;
    html! { span.swatch style=(format!("background: rgb({red} {green} {blue})")) {} }
}

fn share(value: f64) -> String {
    format!("{value:.3}")
}

/// A PNG file as an address.
fn data_uri(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", base64(png))
}

/// RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = (0..3).fold(0u32, |word, i| word << 8 | u32::from(group.get(i).copied().unwrap_or(0)));
        for digit in 0..4 {
            let is_padding = digit > group.len();
            let digit = DIGITS[(word >> (18 - 6 * digit) & 63) as usize];
            text.push(if is_padding { '=' } else { char::from(digit) });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_has_the_values_of_its_standard() {
        // RFC 4648, section 10.
        let pairs =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (bytes, text) in pairs {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }
}
