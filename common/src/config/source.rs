//! The text of a configuration file as a tree of values, with the line of each key.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{ConfigError, Problem};

const DEFAULT_FILE: &str = "/etc/flotilla.toml";

/// A configuration file as it was written.
#[derive(Clone, Debug, Default)]
pub struct Source {
    pub(super) file: Option<PathBuf>,
    pub(super) values: Map<String, Value>,
    pub(super) lines: HashMap<String, usize>,
}

impl Source {
    /// Reads the file that was asked for, else the default one where it exists, else nothing: there are defaults for all.
    pub fn load(asked: Option<&Path>) -> Result<Self, ConfigError> {
        match asked {
            Some(file) => Self::read(file),
            None if Path::new(DEFAULT_FILE).exists() => Self::read(Path::new(DEFAULT_FILE)),
            None => Ok(Self::default()),
        }
    }

    fn read(file: &Path) -> Result<Self, ConfigError> {
        let problem = |line, text| {
            ConfigError(vec![Problem { file: Some(file.to_owned()), line, key: String::new(), text }])
        };
        let text =
            std::fs::read_to_string(file).map_err(|it| problem(None, format!("cannot be read: {it}")))?;
        let parsed = if file.extension().is_some_and(|it| it == "json") {
            Self::from_json(&text)
        } else {
            Self::from_toml(&text)
        };
        let mut source = parsed.map_err(|(line, text)| problem(line, text))?;
        source.file = Some(file.to_owned());
        Ok(source)
    }

    fn from_json(text: &str) -> Result<Self, (Option<usize>, String)> {
        let values =
            serde_json::from_str(text).map_err(|it| (Some(it.line()), format!("is not JSON: {it}")))?;
        Ok(Self { values, ..Self::default() })
    }

    pub(super) fn from_toml(text: &str) -> Result<Self, (Option<usize>, String)> {
        let line_of = |offset: usize| text.get(..offset).map_or(1, |it| it.matches('\n').count() + 1);
        let table = DeTable::parse(text).map_err(|it| {
            (it.span().map(|span| line_of(span.start)), format!("is not TOML: {}", it.message()))
        })?;
        let mut lines = HashMap::new();
        let values = convert_table(table.get_ref(), "", &mut |path, offset| {
            lines.insert(path, line_of(offset));
        });
        Ok(Self { values, lines, file: None })
    }
}

fn convert_table(table: &DeTable<'_>, path: &str, seen: &mut dyn FnMut(String, usize)) -> Map<String, Value> {
    let mut map = Map::new();
    for (key, value) in table {
        let name = key.get_ref();
        let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
        seen(path.clone(), key.span().start);
        map.insert(name.to_string(), convert(value, &path, seen));
    }
    map
}

fn convert(value: &Spanned<DeValue<'_>>, path: &str, seen: &mut dyn FnMut(String, usize)) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Float(number) => {
            number.as_str().parse::<f64>().map_or_else(|_| Value::String(number.to_string()), Value::from)
        }
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|it| convert(it, path, seen)).collect()),
        DeValue::Table(table) => Value::Object(convert_table(table, path, seen)),
    }
}
