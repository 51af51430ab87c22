//! `pointtpa doctor`: what it finds on the machine that runs the tests.

mod program;

use program::{adapter, run};

#[test]
fn an_adapter_is_described_and_its_kernels_are_compared() {
    let Some(name) = adapter() else { return };
    let report = run(&["doctor", "--device", &name, "--json"]).succeeds().json();
    assert_eq!(report["holds"], true);
    let machine = &report["machine"];
    assert!(machine["threads"].as_u64() > Some(0) && machine["memory"].as_u64() > Some(1 << 28), "{machine}");
    let examined = &report["adapters"][0];
    assert_eq!(examined["name"], name.as_str());
    let limit = &examined["limits"][0];
    assert!(limit["needed"].as_u64() > Some(0) && limit["offered"].as_u64() >= limit["needed"].as_u64(), "{limit}");
    let kernels = examined["examined"]["kernels"].as_array().unwrap();
    assert!(kernels.len() > 80, "{}", kernels.len());
    for row in kernels {
        assert!(row["holds"] == true && row["difference"].as_f64() <= row["tolerance"].as_f64(), "{row}");
    }
    assert!(report["verdict"][0].as_str().unwrap().contains("computes what it should"));
}

#[test]
fn the_cpu_alone_has_nothing_to_disagree_with() {
    let text = run(&["doctor", "--device", "cpu"]).succeeds().text();
    for word in ["version", "processor", "instructions", "memory", "the CPU does the work"] {
        assert!(text.contains(word), "{word} is not in:\n{text}");
    }
}

#[test]
fn an_adapter_that_is_not_there_exits_with_3() {
    run(&["doctor", "--device", "no such adapter"]).fails_with(3, "no such adapter");
}
