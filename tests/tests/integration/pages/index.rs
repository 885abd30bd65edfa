//! The list of a log's files.

use std::collections::BTreeMap;

use common::id::Slug;
use common::logs::{AttachmentName, Folder, LeftOut, index};
use serde_json::json;
use tests::browser::Ranges;

use super::Desk;

#[tokio::test]
async fn every_file_can_be_opened_whatever_its_name_is() {
    let desk = Desk::with(Ranges::Known).await.unwrap();
    let names = [
        "a b#c?d.png",
        "<img src=x onerror=alert(1)>.txt",
        "javascript:alert(1)",
        "deep/er/100%.log",
        "\"'&.html",
    ];
    let attachments: BTreeMap<_, _> = names.iter().map(|it| (AttachmentName::new(it).unwrap(), 5)).collect();
    let mut left_out = LeftOut::default();
    left_out.add("<b>link</b>", "it is a symbolic link");
    desk.site
        .put("index.html", index(&Folder::from(&Slug::new("o/r").unwrap()), 10, &attachments, &left_out));
    desk.page.visit(&desk.site.url("index.html")).await.unwrap();
    let paths = "[...document.querySelectorAll('td a')].map(it => decodeURIComponent(it.pathname.replace('/ci/o-r-1/', '')))";
    let mut expected = vec!["log"];
    expected.extend([
        "\"'&.html",
        "<img src=x onerror=alert(1)>.txt",
        "a b#c?d.png",
        "javascript:alert(1)",
        "deep/er/100%.log",
    ]);
    assert_eq!(desk.value(paths).await.unwrap(), json!(expected));
    assert_eq!(
        desk.value("new Set([...document.querySelectorAll('a')].map(it => it.origin)).size").await.unwrap(),
        1
    );
    assert_eq!(desk.texts("li").await.unwrap(), ["<b>link</b>: it is a symbolic link"]);
    assert_eq!(desk.value("document.querySelectorAll('img, b, script').length").await.unwrap(), 0);
    desk.close();
}
