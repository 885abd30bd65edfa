//! TOML, whose parser refuses a key that is there twice.

use std::collections::BTreeMap;

use ::toml::Spanned;
use ::toml::de::{DeTable, DeValue, Error};

use super::lines::Lines;
use super::{DEEPEST, Fault, Node, Value};

pub(super) fn parse(text: &str) -> Result<Node, Fault> {
    let lines = Lines::of(text);
    let table = DeTable::parse(text).map_err(|it| fault(text, &lines, &it))?;
    Ok(Node { line: 1, value: Value::Table(convert_table(table.get_ref(), &lines, 0)?) })
}

fn fault(text: &str, lines: &Lines, error: &Error) -> Fault {
    // The parser has no place for dotted keys that nest too deep.
    let deepest = || text.lines().map(|it| it.matches('.').count()).enumerate().max_by_key(|(_, dots)| *dots);
    let line = error.span().map(|it| lines.at(it.start)).or_else(|| Some(deepest()?.0 + 1));
    let mut fault = Fault { line, key: String::new(), text: format!("is not TOML: {}", error.message()) };
    // The parser points at the key without a name for it.
    let named =
        error.span().filter(|_| error.message().contains("duplicate key")).and_then(|it| text.get(it));
    if let Some(key) = named {
        key.clone_into(&mut fault.key);
        "is there twice".clone_into(&mut fault.text);
    }
    fault
}

fn convert_table(table: &DeTable<'_>, lines: &Lines, depth: usize) -> Result<BTreeMap<String, Node>, Fault> {
    let convert = |(key, value): (&Spanned<_>, &Spanned<_>)| {
        let name: &str = std::borrow::Cow::as_ref(key.get_ref());
        let line = lines.at(key.span().start);
        let value = convert(value, lines, line, depth + 1).map_err(|it| it.under(name))?;
        Ok((name.to_owned(), Node { line, value }))
    };
    table.iter().map(convert).collect()
}

fn convert(value: &Spanned<DeValue<'_>>, lines: &Lines, line: usize, depth: usize) -> Result<Value, Fault> {
    if depth > DEEPEST {
        return Err(Fault::too_deep(line));
    }
    Ok(match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(&number.as_str().replace('_', ""), number.radix())
            .map_or_else(|_| Value::Text(number.to_string()), |it| Value::Number(it.into())),
        DeValue::Float(number) => {
            let finite = number.as_str().parse().ok().and_then(serde_json::Number::from_f64);
            finite.map_or_else(|| Value::Text(number.to_string()), Value::Number)
        }
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Datetime(time) => Value::Text(time.to_string()),
        DeValue::Array(items) => {
            let item = |(number, it): (usize, &Spanned<DeValue<'_>>)| {
                let line = lines.at(it.span().start);
                let value = convert(it, lines, line, depth + 1).map_err(|it| it.in_item(number))?;
                Ok(Node { line, value })
            };
            Value::List(items.iter().enumerate().map(item).collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => Value::Table(convert_table(table, lines, depth)?),
    })
}
