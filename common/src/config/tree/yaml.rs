//! YAML 1.2, of which configuration needs one document of mappings, lists and scalars of the core schema. Anchors and aliases
//! work; what they expand to is counted. Tags other than `!!str`, and keys that are not scalars, are refused.

use std::collections::{BTreeMap, HashMap};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::{DEEPEST, Fault, Node, Value};

/// How many values a file may have, aliases expanded: a few lines of them can stand for billions.
const MOST_VALUES: usize = 200_000;

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let mut builder = Builder::default();
    // Where more is expected, the parser points behind the end.
    let last = text.lines().count().max(1);
    let no_yaml =
        |it: ScanError| Fault::new(it.marker().line().min(last), format!("is not YAML: {}", it.info()));
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(no_yaml).map_err(|it| builder.here(it))?;
        builder.event(event, span.start.line()).map_err(|it| builder.here(it))?;
    }
    Ok(builder.root.unwrap_or(Node { line: 1, value: Value::Null }))
}

#[derive(Default)]
struct Builder {
    /// The lists and mappings that have begun and not ended, outermost first.
    open: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    values: usize,
    root: Option<Node>,
}

struct Open {
    line: usize,
    anchor: usize,
    inside: Inside,
    size: Size,
}

enum Inside {
    List(Vec<Node>),
    Table { entries: BTreeMap<String, Node>, key: Option<(String, usize)> },
}

struct Anchored {
    node: Node,
    size: Size,
}

/// Of a value with all that is in it.
#[derive(Clone, Copy)]
struct Size {
    values: usize,
    levels: usize,
}

const ONE: Size = Size { values: 1, levels: 1 };

impl Builder {
    fn event(&mut self, event: Event<'_>, line: usize) -> Result<(), Fault> {
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err(Fault::new(line, "expected one document, found another"))
            }
            Event::Scalar(text, style, anchor, tag) => {
                let role = if self.awaits_key() { Role::Key } else { Role::Value };
                let value = scalar(&text, style, tag.as_deref(), role, line)?;
                self.value(Node { line, value }, anchor, ONE)
            }
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor);
                let known =
                    known.ok_or_else(|| Fault::new(line, "an alias cannot stand inside its anchor"))?;
                let size = known.size;
                // What it would become is known before it is made.
                self.check(line, size)?;
                self.value(Node { line, value: known.node.value.clone() }, 0, size)
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(line, anchor, tag.as_deref(), Inside::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                let inside = Inside::Table { entries: BTreeMap::new(), key: None };
                self.open(line, anchor, tag.as_deref(), inside)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(),
            _ => Ok(()),
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { inside: Inside::Table { key: None, .. }, .. }))
    }

    fn check(&self, line: usize, size: Size) -> Result<(), Fault> {
        if self.values.saturating_add(size.values) > MOST_VALUES {
            return Err(Fault::new(line, format!("has more than {MOST_VALUES} values, aliases expanded")));
        }
        if self.open.len() + size.levels > DEEPEST + 1 {
            return Err(Fault::too_deep(line));
        }
        Ok(())
    }

    fn open(&mut self, line: usize, anchor: usize, tag: Option<&Tag>, inside: Inside) -> Result<(), Fault> {
        if tag.is_some() {
            return Err(Fault::new(line, "tags are not understood"));
        }
        if self.awaits_key() {
            return Err(Fault::new(line, NO_KEY));
        }
        self.check(line, ONE)?;
        self.values += 1;
        self.open.push(Open { line, anchor, inside, size: ONE });
        Ok(())
    }

    fn close(&mut self) -> Result<(), Fault> {
        let Some(Open { line, anchor, inside, size }) = self.open.pop() else { return Ok(()) };
        let value = match inside {
            Inside::List(items) => Value::List(items),
            Inside::Table { entries, .. } => Value::Table(entries),
        };
        // All of it has been counted, one by one.
        self.values -= size.values;
        self.value(Node { line, value }, anchor, size)
    }

    /// A value is complete: it is a key, an entry, an item or all there is.
    fn value(&mut self, mut node: Node, anchor: usize, size: Size) -> Result<(), Fault> {
        self.check(node.line, size)?;
        self.values += size.values;
        if anchor != 0 {
            self.anchors.insert(anchor, Anchored { node: node.clone(), size });
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.size.values += size.values;
        open.size.levels = open.size.levels.max(size.levels + 1);
        match &mut open.inside {
            Inside::List(items) => items.push(node),
            Inside::Table { entries, key } => match key.take() {
                None => *key = Some((new_name(entries, &node)?, node.line)),
                Some((name, line)) => {
                    node.line = line;
                    entries.insert(name, node);
                }
            },
        }
        Ok(())
    }

    /// The fault, with the key that is being read.
    fn here(&self, fault: Fault) -> Fault {
        self.open.iter().rev().fold(fault, |fault, open| match &open.inside {
            Inside::List(items) => fault.in_item(items.len()),
            Inside::Table { key: Some((name, _)), .. } => fault.under(name),
            Inside::Table { key: None, .. } => fault,
        })
    }
}

const NO_KEY: &str = "expected a key, found a list or a mapping";

/// Its name, if it has not been there before.
fn new_name(entries: &BTreeMap<String, Node>, key: &Node) -> Result<String, Fault> {
    let name = key.as_str().ok_or_else(|| Fault::new(key.line, NO_KEY))?;
    match entries.get(name) {
        Some(first) => Err(Fault::twice(key.line, name, first.line)),
        None => Ok(name.to_owned()),
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Key,
    Value,
}

/// A key is what is written, of whatever type it would be elsewhere: `7.10` and `yes` are names of branches.
fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    role: Role,
    line: usize,
) -> Result<Value, Fault> {
    let is_text = match tag {
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => true,
        Some(_) => return Err(Fault::new(line, "tags are not understood, except !!str")),
        None => style != ScalarStyle::Plain,
    };
    match role {
        Role::Key if !is_text && text == "<<" => {
            Err(Fault::new(line, "merge keys are not understood: use an alias as a value"))
        }
        Role::Key => Ok(Value::Text(text.to_owned())),
        Role::Value if is_text => Ok(Value::Text(text.to_owned())),
        Role::Value => Ok(plain(text)),
    }
}

/// The core schema of YAML 1.2: `yes` and `off` are texts.
fn plain(text: &str) -> Value {
    let whole = |digits, radix| i64::from_str_radix(digits, radix).ok();
    let number = match text.as_bytes() {
        [b'0', b'x', ..] => whole(&text[2..], 16),
        [b'0', b'o', ..] => whole(&text[2..], 8),
        _ => whole(text, 10),
    };
    // Rust reads `inf` and `nan` as numbers; here those are words.
    let is_fraction = text.bytes().all(|it| it.is_ascii_digit() || b"+-.eE".contains(&it));
    let fraction = || text.parse().ok().filter(|_| is_fraction).and_then(serde_json::Number::from_f64);
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Flag(true),
        "false" | "False" | "FALSE" => Value::Flag(false),
        _ => match number.map(Into::into).or_else(fraction) {
            Some(number) => Value::Number(number),
            None => Value::Text(text.to_owned()),
        },
    }
}
