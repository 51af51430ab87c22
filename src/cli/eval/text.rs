//! What `pointtpa eval` says.

use super::evaluation::Evaluation;
use crate::table::table;

pub(super) fn text(evaluation: &Evaluation) -> String {
    let Evaluation { scores, labels, scenes, .. } = evaluation;
    let mut rows = vec![["", "class", "IoU", "accuracy", "points", "share"].map(str::to_owned).to_vec()];
    rows.extend(labels.classes.iter().zip(&scores.classes).map(|(class, of)| {
        let share = of.points as f64 / scores.points.max(1) as f64;
        // A class that does not occur has no accuracy, and an IoU only of mistakes.
        let [iou, accuracy] =
            [of.iou, of.accuracy].map(|v| if of.points > 0 { format!("{v:.4}") } else { "-".to_owned() });
        vec![String::new(), class.name.clone(), iou, accuracy, of.points.to_string(), percent(share)]
    }));
    let (n, present) = (labels.len(), scores.present);
    let mut lines = vec![
        format!("{}: {} scans, {} points with a class", evaluation.data, scenes.len(), scores.points),
        table(&rows, &[false, false, true, true, true, true]),
        format!("mIoU {:.4}, mAcc {:.4}, allAcc {:.4}", scores.miou, scores.macc, scores.all_acc),
    ];
    if present < n {
        lines.push(format!(
            "over the {present} of {n} classes that occur: mIoU {:.4}, mAcc {:.4}",
            scores.miou_present, scores.macc_present
        ));
    }
    let views = if evaluation.tta { ", 13 views of every scan" } else { "" };
    lines.push(format!("{:.1} s on {}{views}", evaluation.seconds, evaluation.device));
    lines.join("\n")
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}
