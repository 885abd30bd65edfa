//! JSON. Its library says nothing of lines, and keeps the last of two entries of one name; so each level is read as slices of
//! the text, whose place in it is known.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::lines::Lines;
use super::{DEEPEST, Fault, Node, Value};

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let source = Source { text, lines: Lines::of(text) };
    let whole: &RawValue =
        serde_json::from_str(text).map_err(|it| Fault::new(it.line().max(1), not_json(&it)))?;
    source.node(whole, 0)
}

/// Without the place, which is relative to a slice.
fn not_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    format!("is not JSON: {}", text.rsplit_once(" at line ").map_or(&*text, |(text, _)| text))
}

struct Source<'t> {
    text: &'t str,
    lines: Lines,
}

impl Source<'_> {
    fn line(&self, slice: &RawValue) -> usize {
        let offset = slice.get().as_ptr().addr().checked_sub(self.text.as_ptr().addr());
        self.lines.at(offset.unwrap_or_default())
    }

    fn node(&self, slice: &RawValue, depth: usize) -> Result<Node, Fault> {
        let line = self.line(slice);
        if depth > DEEPEST {
            return Err(Fault::too_deep(line));
        }
        let value = match slice.get().as_bytes().first() {
            Some(b'{') => Value::Table(self.table(slice, depth)?),
            Some(b'[') => Value::List(self.list(slice, depth)?),
            Some(b'"') => Value::Text(self.leaf(slice)?),
            Some(b't' | b'f') => Value::Flag(self.leaf(slice)?),
            Some(b'n') => Value::Null,
            _ => Value::Number(self.leaf(slice)?),
        };
        Ok(Node { line, value })
    }

    fn leaf<T: DeserializeOwned>(&self, slice: &RawValue) -> Result<T, Fault> {
        serde_json::from_str(slice.get()).map_err(|it| Fault::new(self.line(slice), not_json(&it)))
    }

    fn list(&self, slice: &RawValue, depth: usize) -> Result<Vec<Node>, Fault> {
        let items: Vec<&RawValue> =
            serde_json::from_str(slice.get()).map_err(|it| Fault::new(self.line(slice), not_json(&it)))?;
        let item = |(number, it)| self.node(it, depth + 1).map_err(|it| it.in_item(number));
        items.into_iter().enumerate().map(item).collect()
    }

    fn table(&self, slice: &RawValue, depth: usize) -> Result<BTreeMap<String, Node>, Fault> {
        let pairs = serde_json::Deserializer::from_str(slice.get())
            .deserialize_map(Pairs)
            .map_err(|it| Fault::new(self.line(slice), not_json(&it)))?;
        let mut table: BTreeMap<String, Node> = BTreeMap::new();
        for (key, value) in pairs {
            let line = self.line(key);
            let name: String = self.leaf(key)?;
            if let Some(first) = table.get(&name) {
                return Err(Fault::twice(line, &name, first.line));
            }
            let value = self.node(value, depth + 1).map_err(|it| it.under(&name))?.value;
            table.insert(name, Node { line, value });
        }
        Ok(table)
    }
}

/// All entries of an object, those of one name too.
struct Pairs;

impl<'t> Visitor<'t> for Pairs {
    type Value = Vec<(&'t RawValue, &'t RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'t>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}
