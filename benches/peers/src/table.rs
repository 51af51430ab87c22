//! Tables in Markdown.

use std::fmt::Write;

use crate::compare::Measured;

/// One row per comparison, under a line that says where it ran.
pub(crate) fn markdown(device: &str, peer: &str, rows: &[Measured]) -> String {
    let mut out = format!(
        "{device}. Ratio: {peer}'s time divided by ours, above 1 ours is faster; in brackets the turns' quartiles.\n\n"
    );
    let _ = writeln!(
        out,
        "| shape | ours, ms | ours, GFLOP/s | {peer}, ms | {peer}, GFLOP/s | ratio | largest difference | turns |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|"
    );
    for row in rows {
        let rate = |seconds: f64| row.flops as f64 / seconds / 1e9;
        let _ = writeln!(
            out,
            "| {} | {:.2} | {:.1} | {:.2} | {:.1} | {:.2} ({:.2} to {:.2}) | {:.0e} | {} |",
            row.name,
            row.ours.median * 1e3,
            rate(row.ours.median),
            row.peer.median * 1e3,
            rate(row.peer.median),
            row.ratio.median,
            row.ratio.lower,
            row.ratio.upper,
            row.difference,
            row.turns
        );
    }
    out
}
