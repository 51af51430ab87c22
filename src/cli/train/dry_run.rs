//! What a run would train.

use pointtpa::train::trainable::{Group, Part};
use serde_json::{Value, json};

use super::plan::Plan;
use super::subject::Subject;
use crate::info::share;
use crate::table::table;

pub(super) fn json(subject: &Subject, plan: Option<&Plan>) -> Value {
    let groups = subject.trainable.groups(&subject.config);
    let (total, trained) = totals(&groups);
    let rows: Vec<Value> = groups
        .iter()
        .map(|group| {
            json!({
                "part": group.role.name(),
                "parameters": group.parameters,
                "trainable": group.trained,
                "trainable_in_blocks": group.trained_in_blocks,
                "tensors": group.tensors,
            })
        })
        .collect();
    json!({
        "model": subject.name,
        "from_scratch": subject.is_from_scratch,
        "adapter": subject.config.adapter().name(),
        "train": part(subject.trainable.train),
        "classes": subject.info.labels.len(),
        "parameters": total,
        "trainable": trained,
        "share": share(trained, total),
        "groups": rows,
        "plan": plan.map(Plan::json),
    })
}

pub(super) fn text(subject: &Subject, plan: Option<&Plan>) -> String {
    let groups = subject.trainable.groups(&subject.config);
    let (total, trained) = totals(&groups);
    let percent = |part, whole| format!("{:.3} %", 100.0 * share(part, whole));
    let mut rows = vec![["part", "parameters", "trainable", "share of all", "tensors"].map(str::to_owned).to_vec()];
    rows.extend(groups.iter().map(|group| {
        vec![
            group.role.name().to_owned(),
            group.parameters.to_string(),
            group.trained.to_string(),
            percent(group.trained, total),
            group.tensors.to_string(),
        ]
    }));
    let tensors: usize = groups.iter().map(|group| group.tensors).sum();
    rows.push(vec![
        "total".to_owned(),
        total.to_string(),
        trained.to_string(),
        percent(trained, total),
        tensors.to_string(),
    ]);
    let title = format!(
        "{}, adapter {}, train {}, {} classes ({})",
        subject.name,
        subject.config.adapter().name(),
        part(subject.trainable.train),
        subject.info.labels.len(),
        subject.info.labels.name
    );
    let mut parts = vec![title, table(&rows, &[false, true, true, true, true])];
    parts.extend(plan.map(Plan::text));
    parts.join("\n")
}

/// One line of it, for the start of a run.
pub(super) fn line(subject: &Subject) -> String {
    let groups = subject.trainable.groups(&subject.config);
    let (total, trained) = totals(&groups);
    let parts: Vec<String> = groups
        .iter()
        .filter(|group| group.trained > 0)
        .map(|group| format!("{} {}", group.trained, group.role.name()))
        .collect();
    format!("trains {trained} of {total} parameters ({:.3} %): {}", 100.0 * share(trained, total), parts.join(", "))
}

pub(super) fn totals(groups: &[Group]) -> (u64, u64) {
    groups.iter().fold((0, 0), |(total, trained), group| (total + group.parameters, trained + group.trained))
}

fn part(part: Part) -> &'static str {
    match part {
        Part::Head => "head",
        Part::Decoder => "decoder",
        Part::Full => "full",
    }
}
