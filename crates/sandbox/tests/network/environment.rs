//! Environment variables, arguments and the current folder.

use crate::guest::{Guest, decisions};
use serde_json::json;
use wassette_sandbox::Surroundings;

const POLICY: &str = "version: \"1.0\"
permissions:
  environment:
    allow:
      - GRANTED
      - {key: MODE, value: strict}
      - UNSET
";

fn surroundings() -> Surroundings {
    let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Surroundings {
        variables: [set("GRANTED", "yes"), set("MODE", "lax"), set("OTHER", "hidden")].into(),
        ..Surroundings::default()
    }
}

#[tokio::test]
async fn a_guest_gets_the_variables_it_was_granted_and_no_other() {
    let mut guest = Guest::new(POLICY);
    guest.surroundings = surroundings();
    let (report, value) = guest.call("variables", json!({})).await;
    let mut value = value.as_array().unwrap().clone();
    value.sort_by_key(ToString::to_string);
    assert_eq!(value, [json!(["GRANTED", "yes"]), json!(["MODE", "strict"])]);
    let mut decided = decisions(&report);
    decided.sort();
    assert_eq!(
        decided,
        [
            "+ read environment variable `GRANTED`",
            "+ read environment variable `MODE`",
            "+ read environment variables",
        ]
    );
}

#[tokio::test]
async fn without_a_grant_there_are_none() {
    let mut guest = Guest::new("");
    guest.surroundings = surroundings();
    let (report, value) = guest.call("variables", json!({})).await;
    assert_eq!(value, json!([]));
    assert_eq!(decisions(&report), ["- read environment variables"]);
}

#[tokio::test]
async fn arguments_and_folder_are_never_there() {
    let guest = Guest::new(POLICY);
    assert_eq!(guest.call("arguments", json!({})).await.1, json!([]));
    assert_eq!(guest.call("folder", json!({})).await.1, json!(null));
}
