//! `signatures` of a ceiling.

use super::characters::shown;
use super::fields::Map;
use super::print::{Page, quoted};
use super::yaml::{Node, Value};
use super::{ParsePolicyError, from_rule};
use crate::error::{Field, RuleError};
use crate::signature::{SignatureMode, SignatureRule, TrustedIdentity, TrustedKey, TrustedSigner};
use crate::source::SourcePattern;

pub(super) fn read(node: &Node) -> Result<Vec<SignatureRule>, ParsePolicyError> {
    node.items("signatures")?.iter().map(rule).collect()
}

fn rule(node: &Node) -> Result<SignatureRule, ParsePolicyError> {
    let map = Map::of(node, "a rule of `signatures`", &["source", "mode", "signers"])?;
    let source = map.required("source", "write for example `source: \"oci://ghcr.io/org/*\"`")?;
    let pattern = SourcePattern::new(source.text("source")?).map_err(|error| from_rule(&error, source.at))?;
    let mode = map
        .get("mode")
        .map(mode)
        .transpose()?
        .unwrap_or(SignatureMode::Require);
    let signers = match map.get("signers") {
        Some(node) => node
            .items("signers")?
            .iter()
            .map(signer)
            .collect::<Result<_, _>>()?,
        None => Vec::new(),
    };
    SignatureRule::new(pattern, mode, signers)
        .map_err(|error| from_rule(&error, map.nearest("signers", None)))
}

/// One of three words. `off` needs no quotes: here nothing else can be meant, whichever YAML somebody has in mind.
fn mode(node: &Node) -> Result<SignatureMode, ParsePolicyError> {
    let word = match &node.value {
        Value::Plain(text) | Value::Quoted(text) => text.as_str(),
        Value::Null | Value::List(_) | Value::Map(_) => node.text("mode")?,
    };
    let known = SignatureMode::ALL.into_iter().find(|mode| mode.as_str() == word);
    known.ok_or_else(|| {
        node.at
            .error(format!("`{}` is not a mode", shown(word)))
            .hint("write `require`, `warn` or `off`")
    })
}

fn signer(node: &Node) -> Result<TrustedSigner, ParsePolicyError> {
    let map = Map::of(node, "a signer", &["identity", "issuer", "key"])?;
    if let Some(entry) = map.entry("key") {
        if map.entries().len() > 1 {
            return Err(entry
                .at
                .error("a signer is a key, or an identity and its issuer, not both")
                .hint("make two signers of it"));
        }
        let key = TrustedKey::new(entry.value.text("key")?);
        return key
            .map(TrustedSigner::Key)
            .map_err(|error| from_rule(&error, entry.value.at));
    }
    let (identity, issuer) = (map.text("identity")?, map.text("issuer")?);
    let missing = |key: &str, why: &str| map.at.error(format!("`{key}` is missing")).hint(why);
    let (identity, issuer) = match (identity, issuer) {
        (Some(identity), Some(issuer)) => (identity, issuer),
        (Some(_), None) => {
            return Err(missing(
                "issuer",
                "an identity means nothing without who confirmed it: `issuer: \"https://token.actions.githubusercontent.com\"`",
            ));
        }
        (None, Some(_)) => {
            return Err(missing(
                "identity",
                "an issuer confirms the identity of everybody: say whose signature counts",
            ));
        }
        (None, None) => {
            return Err(map
                .at
                .error("this names nobody")
                .hint("write `identity` and `issuer`, or `key`"));
        }
    };
    TrustedIdentity::new(&identity, &issuer)
        .map(TrustedSigner::Keyless)
        .map_err(|error| at_part(&error, &map))
}

fn at_part(error: &RuleError, map: &Map<'_>) -> ParsePolicyError {
    let key = if error.field() == Field::Issuer {
        "issuer"
    } else {
        "identity"
    };
    from_rule(error, map.nearest(key, None))
}

pub(super) fn print(page: &mut Page, rules: &[SignatureRule]) {
    if rules.is_empty() {
        return;
    }
    page.line(0, "signatures:");
    for rule in rules {
        page.line(1, &format!("- source: {}", quoted(&rule.source().to_string())));
        page.line(1, &format!("  mode: {}", quoted(rule.mode().as_str())));
        if rule.signers().is_empty() {
            continue;
        }
        page.line(1, "  signers:");
        for signer in rule.signers() {
            match signer {
                TrustedSigner::Keyless(keyless) => {
                    page.line(3, &format!("- identity: {}", quoted(keyless.identity())));
                    page.line(3, &format!("  issuer: {}", quoted(keyless.issuer())));
                }
                TrustedSigner::Key(key) => {
                    page.line(3, "- key: |");
                    for line in key.pem().lines() {
                        page.line(5, line);
                    }
                }
            }
        }
    }
}
