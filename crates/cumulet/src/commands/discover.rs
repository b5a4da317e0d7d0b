//! `cumulet discover`: which nodes are on the home network. Needs no node and no settings (R22, R78).

use std::time::Duration;

use links::discovery::{self, DiscoveryError, Sighting};
use node::{Failure, Kind};
use serde_json::{Value, json};

use crate::{plain_text, print};

pub(super) async fn discover(timeout_s: u64, as_json: bool) -> Result<u8, Failure> {
    let found = discovery::look_around(Duration::from_secs(timeout_s)).await;
    let found = found.map_err(|error| cannot(&error))?;
    let rows: Vec<Value> = found.iter().map(row).collect();
    if as_json {
        for row in &rows {
            print::line(&row.to_string());
        }
    } else {
        let nothing = format!("no node answered on the home network within {timeout_s} s");
        print::line(&plain_text::of_lines(&table(rows, &nothing)));
    }
    Ok(u8::from(found.is_empty()))
}

fn row(sighting: &Sighting) -> Value {
    let name = sighting.name.as_ref().map(ToString::to_string);
    let addresses: Vec<_> = sighting.addresses.iter().map(ToString::to_string).collect();
    json!({
        "name": name,
        "id": sighting.node.to_string(),
        "addresses": addresses,
        "https_port": sighting.https_port,
    })
}

fn table(mut rows: Vec<Value>, nothing: &str) -> String {
    for row in &mut rows {
        let all = row["addresses"].as_array().into_iter().flatten();
        let all: Vec<_> = all.filter_map(Value::as_str).collect();
        row["addresses"] = json!(all.join(" "));
    }
    let columns = [("name", "name"), ("id", "id"), ("addresses", "addresses")];
    print::table(&json!(rows), &columns, nothing)
}

fn cannot(error: &DiscoveryError) -> Failure {
    Failure::of(Kind::Unreachable, error)
        .hint("is UDP port 5353 allowed for this program and this computer on a network?")
}
