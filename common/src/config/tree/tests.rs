use super::*;

const ALL: [Format; 3] = [Format::Toml, Format::Json, Format::Yaml];

fn fault(format: Format, text: &str) -> (Option<usize>, String, String) {
    let Fault { line, key, text } = format.parse(text).unwrap_err();
    (line, key, text)
}

/// Every value with its key and line.
fn flat(node: &Node) -> Vec<String> {
    fn walk(key: &str, node: &Node, found: &mut Vec<String>) {
        match &node.value {
            Value::Table(table) => table.iter().for_each(|(name, it)| walk(&at(key, name), it, found)),
            Value::List(items) => {
                items.iter().enumerate().for_each(|(number, it)| walk(&item(key, number), it, found));
            }
            value => found.push(format!("{} {key} {value:?}", node.line)),
        }
    }
    let mut found = Vec::new();
    walk("", node, &mut found);
    found
}

#[test]
fn the_formats_say_the_same_with_their_own_lines() {
    let toml =
        "# map\n[\"octo/app\"]\nmain = [\n  \"a\",\n  \"b\",\n]\n\"7.10\" = []\nn = 5\nx = 0.5\nt = true\n";
    let json = "{\"octo/app\": {\n\"main\": [\n\n\"a\",\n\"b\"],\n\"7.10\": [], \"n\": 5,\n\n\"x\": 0.5, \"t\": true}}";
    let yaml = "octo/app:\n  main:\n  # two\n  - a\n  - \"b\"\n  7.10: []\n  n: 5\n\n  x: 0.5\n  t: true\n";
    let [toml, json, yaml] =
        [(ALL[0], toml), (ALL[1], json), (ALL[2], yaml)].map(|(it, text)| it.parse(text).unwrap());
    assert_eq!(toml, json);
    assert_eq!(toml, yaml);
    assert_eq!(
        flat(&yaml),
        [
            "4 \"octo/app\".main[0] Text(\"a\")",
            "5 \"octo/app\".main[1] Text(\"b\")",
            "7 \"octo/app\".n Number(Number(5))",
            "10 \"octo/app\".t Flag(true)",
            "9 \"octo/app\".x Number(Number(0.5))",
        ]
    );
    let lines =
        |node| flat(node).iter().filter_map(|it| it.split(' ').next()?.parse().ok()).collect::<Vec<usize>>();
    assert_eq!((lines(&toml), lines(&json)), (vec![4, 5, 8, 10, 9], vec![4, 5, 6, 8, 8]));
}

#[test]
fn a_key_that_is_there_twice_is_a_fault_in_every_format() {
    let twice = "is there twice, the first time in line 2".to_owned();
    let toml = "[\"o/r\"]\nmain = []\n\nmain = [\"a\"]";
    assert_eq!(fault(Format::Toml, toml), (Some(4), "main".to_owned(), "is there twice".to_owned()));
    let json = "{\"o/r\":\n{\"main\": [],\n\n\"ma\\u0069n\": []}}";
    assert_eq!(fault(Format::Json, json), (Some(4), "\"o/r\".main".to_owned(), twice.clone()));
    let yaml = "o/r:\n  main: []\n\n  'main': []\n";
    assert_eq!(fault(Format::Yaml, yaml), (Some(4), "\"o/r\".main".to_owned(), twice));
    for (format, text) in
        [(ALL[0], "[a]\n[b]\n[a]"), (ALL[1], "{\"a\":1,\n\"b\":2,\n\"a\":1}"), (ALL[2], "a: 1\nb: 2\na: 1")]
    {
        let (line, key, text) = fault(format, text);
        assert_eq!((line, key.as_str()), (Some(3), "a"), "{text}");
        assert!(text.starts_with("is there twice"), "{text}");
    }
}

#[test]
fn nothing_nests_without_end() {
    let (many, deep) = (10_000, 100);
    let json = |times| format!("{}1{}", "[".repeat(times), "]".repeat(times));
    let object = |times| format!("{}1{}", "{\"a\":".repeat(times), "}".repeat(times));
    let toml = |times| format!("a = {}", json(times));
    let inline = |times| format!("a = {}1{}", "{a = ".repeat(times), "}".repeat(times));
    let dots = |times| format!("{} = 1", vec!["a"; times].join("."));
    let header = |times| format!("[{}]", vec!["a"; times].join("."));
    let tables = |times| format!("[[{}]]", vec!["a"; times].join("."));
    let blocks = |times| format!("{}1", "- ".repeat(times));
    let keys = |times| format!("{}1", "? ".repeat(times));
    let lines = |times| (0..times).map(|it| format!("{}a:", " ".repeat(it))).collect::<Vec<_>>().join("\n");
    let all: [(Format, &dyn Fn(usize) -> String); 12] = [
        (Format::Json, &json),
        (Format::Json, &object),
        (Format::Toml, &toml),
        (Format::Toml, &inline),
        (Format::Toml, &dots),
        (Format::Toml, &header),
        (Format::Toml, &tables),
        (Format::Yaml, &json),
        (Format::Yaml, &object),
        (Format::Yaml, &blocks),
        (Format::Yaml, &keys),
        (Format::Yaml, &lines),
    ];
    for (number, (format, text)) in all.into_iter().enumerate() {
        for times in [deep, if number == 11 { 1000 } else { many }] {
            let fault = format.parse(&text(times)).unwrap_err();
            assert!(fault.line.is_some(), "{number} {times}: {fault:?}");
        }
    }
    for format in [Format::Json, Format::Yaml] {
        format.parse(&json(DEEPEST)).unwrap();
        assert!(fault(format, &json(DEEPEST + 1)).2.contains("deeper than 64"));
    }
}

#[test]
fn anchors_work_and_what_they_expand_to_is_counted() {
    let yaml = "a: &images [x, y]\nb:\n  images: *images\n";
    let root = Format::Yaml.parse(yaml).unwrap();
    let table = root.as_table().unwrap();
    assert_eq!(table["b"].as_table().unwrap()["images"], table["a"]);
    // Each level stands for so many of the level before.
    let levels = |levels: usize, times: usize| {
        let level =
            |it: usize| format!("a{it}: &a{it} [{}]", vec![format!("*a{}", it - 1); times].join(", "));
        let levels: Vec<_> = (1..levels).map(level).collect();
        format!("a0: &a0 [ha]\n{}\n", levels.join("\n"))
    };
    assert!(fault(Format::Yaml, &levels(40, 10)).2.contains("more than 200000 values"));
    assert!(fault(Format::Yaml, &levels(100, 1)).2.contains("deeper than"));
    assert!(fault(Format::Yaml, "a: &a [*a]").2.contains("alias"));
    assert!(fault(Format::Yaml, "a: *b").2.contains("anchor"));
}

#[test]
fn what_is_no_tree_is_told_with_its_line_and_key() {
    for (format, text, line, key) in [
        (Format::Toml, "\n[x\n", 2, ""),
        (Format::Json, "{\n1", 2, ""),
        (Format::Json, "", 1, ""),
        (Format::Json, "{}\n{}", 2, ""),
        (Format::Json, "{\"a\":\n\n\"\\ud800\"}", 3, "a"),
        (Format::Json, "[1,\n1e999]", 2, "[1]"),
        (Format::Yaml, "a: 1\nb: [", 2, "b[0]"),
        (Format::Yaml, "{---", 1, ""),
        (Format::Yaml, "---\na: 1\n---\nb: 1\n", 3, ""),
        (Format::Yaml, "a:\n  - b: 1\n    ? [c]\n    : 2", 3, "a[0]"),
        (Format::Yaml, "a:\n  <<: 1", 2, "a"),
        (Format::Yaml, "a:\n- !!int 1", 2, "a[0]"),
        (Format::Yaml, "a: !x {}", 1, "a"),
        (Format::Yaml, "a: 'b", 1, "a"),
    ] {
        let fault = format.parse(text).unwrap_err();
        assert_eq!((fault.line, fault.key.as_str()), (Some(line), key), "{text:?}: {}", fault.text);
    }
}

#[test]
fn scalars_of_yaml_are_those_of_its_core_schema() {
    for (text, expected) in [
        ("~", Value::Null),
        ("", Value::Null),
        ("yes", Value::Text("yes".to_owned())),
        ("'5'", Value::Text("5".to_owned())),
        ("!!str 5", Value::Text("5".to_owned())),
        ("rhel-10", Value::Text("rhel-10".to_owned())),
        ("-", Value::List(vec![Node { line: 1, value: Value::Null }])),
        (".inf", Value::Text(".inf".to_owned())),
        ("nan", Value::Text("nan".to_owned())),
        ("0x1f", Value::Number(31.into())),
        ("-5", Value::Number((-5).into())),
        ("True", Value::Flag(true)),
    ] {
        assert_eq!(Format::Yaml.parse(text).unwrap().value, expected, "{text}");
    }
    assert_eq!(Format::Yaml.parse("1.5").unwrap().as_f64(), Some(1.5));
}

#[test]
fn a_file_is_read_within_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("map");
    let read = |bytes: &[u8]| {
        std::fs::write(&file, bytes).unwrap();
        read_text(&file).map_err(|it| (it.line, it.text))
    };
    assert_eq!(read(b"\xef\xbb\xbfa").unwrap(), "a");
    assert_eq!(read(b"a\nb\n\xff").unwrap_err(), (Some(3), "is not UTF-8".to_owned()));
    std::fs::File::options().write(true).open(&file).unwrap().set_len(100 * 1024 * 1024).unwrap();
    assert_eq!(read_text(&file).unwrap_err().text, "is longer than 4 MiB");
    assert!(read_text(folder.path()).unwrap_err().text.contains("cannot be read"));
    assert!(read_text(Path::new("/nowhere/at/all")).unwrap_err().text.contains("cannot be read"));
}

#[test]
fn a_key_leads_to_its_line_or_to_the_nearest_above() {
    let root = Format::Toml.parse("[a]\n\"b.c\" = 1\n\nl = [1,\n{x = 2}]\n").unwrap();
    for (key, expected) in [
        ("a", Some(1)),
        ("a.\"b.c\"", Some(2)),
        ("a.b", Some(1)),
        ("a.l[1].x", Some(5)),
        ("a.l[7]", Some(4)),
        ("z", None),
        ("--amqp ($AMQP_SERVER)", None),
    ] {
        assert_eq!(line(&root, key), expected, "{key}");
    }
}
