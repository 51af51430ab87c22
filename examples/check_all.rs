use pointtpa::{
    Device,
    check::check_file,
    device::{DeviceChoice, DeviceOptions},
};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let device =
        Device::open_blocking(DeviceOptions { choice: args[1].parse().unwrap(), ..Default::default() }).unwrap();
    let _ = DeviceChoice::Auto;
    for path in &args[2..] {
        match check_file(&device, path.as_ref()) {
            Ok(r) => {
                println!(
                    "{path}: holds {} compared {} skipped {} max logits {:?} agree {:?}",
                    r.holds,
                    r.compared.len(),
                    r.skipped.len(),
                    r.max_abs_logits,
                    r.argmax_agreement
                );
                for c in r.compared.iter().filter(|c| !c.holds).take(6) {
                    println!("   {c:?}");
                }
                let mut reasons: Vec<_> = r
                    .skipped
                    .iter()
                    .filter(|s| {
                        !s.reason.contains("input") && !s.reason.contains("training") && !s.reason.contains("gradient")
                    })
                    .map(|s| format!("{}: {}", s.name, s.reason))
                    .collect();
                reasons.truncate(30);
                for s in reasons {
                    println!("   skip {s}");
                }
            }
            Err(e) => println!("{path}: ERR {e}"),
        }
    }
}
