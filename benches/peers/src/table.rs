//! Tables in Markdown.

use std::fmt::Write;

use crate::compare::Measured;

/// One row per comparison, under a line that says where it ran.
pub(crate) fn markdown(device: &str, peer: &str, rows: &[Measured]) -> String {
    let mut out = format!("{device}; ratio: {peer}'s time divided by ours, above 1 ours is faster.\n\n");
    let _ = writeln!(
        out,
        "| shape | ours, ms | ours, GFLOP/s | {peer}, ms | {peer}, GFLOP/s | ratio | largest difference | turns |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for row in rows {
        let rate = |seconds: f64| row.flops as f64 / seconds / 1e9;
        let _ = writeln!(
            out,
            "| {} | {:.2} | {:.1} | {:.2} | {:.1} | {:.2} | {:.1e} | {} |",
            row.name,
            row.ours * 1e3,
            rate(row.ours),
            row.peer * 1e3,
            rate(row.peer),
            row.speedup,
            row.difference,
            row.turns
        );
    }
    out
}
