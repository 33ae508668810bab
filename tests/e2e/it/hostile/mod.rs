//! What a bad plugin can do to the host: nothing, and it is told why. The whole list as one table:
//! `cargo test -p mlflow-deploy-e2e hostile -- --nocapture`.

mod bystander;
mod files;
mod plugins;
mod resources;

/// A line of the table.
struct Line {
    what: String,
    /// What the host said of it.
    said: String,
    /// What became of the process that the plugin was loaded into, and of one that had it in another.
    inside: String,
    isolated: String,
    /// What is not as it has to be.
    faults: Vec<String>,
}

#[test]
fn the_host_survives_the_hostile_list() {
    let mut lines = files::lines();
    lines.extend(plugins::lines());
    println!("| what | what the host said | survived in process | survived isolated |\n|---|---|---|---|");
    for Line { what, said, inside, isolated, .. } in &lines {
        println!("| {what} | {} | {inside} | {isolated} |", said.trim().replace('\n', "; ").replace('|', "\\|"));
    }
    let faults: Vec<_> = lines.iter().flat_map(|line| &line.faults).collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
