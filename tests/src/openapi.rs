//! GitHub's description of its API: whether what our client asks is in it, and whether the stand-in answers as it says.
//!
//! `tests/interop/openapi.json` is an extract of the published description, made by `tests/interop/openapi.py`.

use std::collections::HashMap;

use anyhow::{Context, Result};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use reqwest::Url;
use serde_json::{Value, json};

use crate::situations::interop;
use crate::situations::tap::Exchange;

/// Answers of the whole API rather than of an operation.
const ANYWHERE: [u16; 7] = [304, 401, 403, 404, 422, 429, 501];

/// The description, ready to be compared with.
pub struct Description {
    operations: Vec<Operation>,
}

struct Operation {
    method: String,
    /// The parts of the path; those in braces stand for anything.
    parts: Vec<String>,
    query: HashMap<String, Validator>,
    body: Option<Body>,
    answers: HashMap<u16, Option<Validator>>,
}

struct Body {
    schema: Validator,
    /// None: any.
    fields: Option<Vec<String>>,
}

impl Description {
    /// Reads the extract.
    pub fn load() -> Result<Self> {
        let text =
            std::fs::read_to_string(interop("openapi.json")).context("the extract of the description")?;
        let all: Value = serde_json::from_str(&text)?;
        let definitions = &all["$defs"];
        let operations = all["operations"].as_object().context("operations")?;
        let operations = operations.iter().map(|(name, it)| Operation::new(name, it, definitions));
        Ok(Self { operations: operations.collect::<Result<_>>()? })
    }

    /// What is not as described in a request and its answer; nothing, if all is.
    pub fn complaints(&self, exchange: &Exchange) -> Vec<String> {
        let what = format!("{} {}", exchange.method, exchange.path);
        let Some(url) = Url::parse("http://forge").and_then(|it| it.join(&exchange.path)).ok() else {
            return vec![format!("{what}: no address")];
        };
        let parts: Vec<_> = url.path().trim_start_matches('/').split('/').collect();
        let fits = |it: &&Operation| it.method == exchange.method && it.fits(&parts);
        let Some(operation) = self.operations.iter().find(fits) else {
            return vec![format!("{what}: no such operation")];
        };
        let complaints =
            [operation.query(&url), operation.body(exchange), operation.answer(exchange)].concat();
        complaints.into_iter().map(|it| format!("{what}: {it}")).collect()
    }
}

impl Operation {
    fn new(name: &str, operation: &Value, definitions: &Value) -> Result<Self> {
        let compile = |schema: &Value| validator(schema, definitions);
        let (method, path) = name.split_once(' ').context("METHOD PATH")?;
        let query = operation["query"].as_object().context("query")?;
        let answers = operation["answers"].as_object().context("answers")?;
        let body = &operation["body"];
        Ok(Self {
            method: method.to_owned(),
            parts: path.trim_start_matches('/').split('/').map(str::to_owned).collect(),
            query: query.iter().map(|(name, it)| Ok((name.clone(), compile(it)?))).collect::<Result<_>>()?,
            body: (!body.is_null()).then(|| Body::new(body, definitions)).transpose()?,
            answers: answers
                .iter()
                .map(|(code, it)| Ok((code.parse()?, (!it.is_null()).then(|| compile(it)).transpose()?)))
                .collect::<Result<_>>()?,
        })
    }

    /// The last part of a path may have slashes: a branch, a file.
    fn fits(&self, parts: &[&str]) -> bool {
        let one = |(template, part): (&String, &&str)| template.starts_with('{') || template == part;
        let open = self.parts.last().is_some_and(|it| ["{branch}", "{ref}", "{path}"].contains(&it.as_str()));
        let length = parts.len() == self.parts.len() || (open && parts.len() > self.parts.len());
        length && self.parts.iter().zip(parts).all(one)
    }

    fn query(&self, url: &Url) -> Vec<String> {
        let check = |(name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)| {
            let Some(schema) = self.query.get(&*name) else { return Some(format!("no parameter `{name}`")) };
            // Whether digits are a number depends on who reads them.
            let number = value.parse::<i64>().map(Value::from);
            let fits = schema.is_valid(&json!(value)) || number.is_ok_and(|it| schema.is_valid(&it));
            (!fits).then(|| format!("`{name}` cannot be `{value}`"))
        };
        url.query_pairs().filter_map(check).collect()
    }

    fn body(&self, exchange: &Exchange) -> Vec<String> {
        match &self.body {
            None if exchange.sent.is_null() => Vec::new(),
            None => vec!["a body where there is none".to_owned()],
            Some(body) => body.complaints(&exchange.sent),
        }
    }

    fn answer(&self, exchange: &Exchange) -> Vec<String> {
        match self.answers.get(&exchange.status) {
            Some(Some(schema)) if !exchange.answered.is_null() => {
                let found = schema.iter_errors(&exchange.answered);
                // The stand-in leaves out what no program of either generation reads.
                let wrong = found.filter(|it| !matches!(it.kind(), ValidationErrorKind::Required { .. }));
                wrong.map(|it| show(&it, "answer")).collect()
            }
            Some(_) => Vec::new(),
            None if ANYWHERE.contains(&exchange.status) || exchange.status >= 500 => Vec::new(),
            None => vec![format!("cannot be answered {}", exchange.status)],
        }
    }
}

impl Body {
    fn new(schema: &Value, definitions: &Value) -> Result<Self> {
        let fields = schema["properties"].as_object().map(|it| it.keys().cloned().collect());
        Ok(Self { schema: validator(schema, definitions)?, fields })
    }

    fn complaints(&self, sent: &Value) -> Vec<String> {
        let mut found = self.schema.iter_errors(sent).map(|it| show(&it, "body")).collect::<Vec<_>>();
        if let (Some(known), Some(fields)) = (&self.fields, sent.as_object()) {
            let unknown = fields.keys().filter(|it| !known.contains(it));
            found.extend(unknown.map(|it| format!("the body has no field `{it}`")));
        }
        found
    }
}

fn validator(schema: &Value, definitions: &Value) -> Result<Validator> {
    let whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema], "$defs": definitions});
    Ok(jsonschema::validator_for(&whole)?)
}

fn show(error: &ValidationError<'_>, what: &str) -> String {
    format!("{what}{}: {error}", error.instance_path()).chars().take(300).collect()
}
