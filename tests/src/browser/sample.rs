//! Logs to look at.

use std::fmt::Write;

/// How many tests of each kind a [`tests`] log has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    /// All of them.
    pub tests: usize,
    /// Failed in the end, each after two tries more.
    pub failed: usize,
    /// Passed when tried again.
    pub retried: usize,
    pub skipped: usize,
}

/// The picture that failed test number `n` says it has written.
pub fn picture_name(n: usize) -> String {
    format!("TestShip{n}-testSail-debian-13-127.0.0.2-2201-FAIL.png")
}

/// A log in the dialect of Cockpit's tests: output first, then the result.
pub fn tests(mix: Mix) -> String {
    let mut log = String::from(
        "debian-13/expensive@octo/fleet#0123456789ab\nengine=\"podman-4.3.1\"\n\
         Linux worker-7 6.1.0 x86_64 GNU/Linux\nCloning into 'make-checkout-workdir'...\n",
    );
    let _ = writeln!(log, "1..{}", mix.tests);
    for n in 1..=mix.tests {
        one_test(&mut log, mix, n);
    }
    let serial = format!("[{}s on worker-7, {} serial tests: 0: 61s]", mix.tests * 7, mix.tests);
    if mix.failed > 0 {
        let _ = writeln!(log, "\n# {} TESTS FAILED {serial}", mix.failed);
        log.push_str("*** Failure: Container exited with code 1\n");
    } else {
        let _ = writeln!(log, "\n# TESTS PASSED {serial}\nJob ran successfully.  :)");
    }
    log
}

/// Kinds are spread evenly: no prime of these divides another.
fn one_test(log: &mut String, mix: Mix, n: usize) {
    let is = |count: usize, offset: usize| count > 0 && n % (mix.tests / count) == offset;
    let name = format!("test/verify/check-ship TestShip{n}.testSail [ND@1]");
    let header = format!(
        "# ----------------------------------------------------------------------\n# testSail (check_ship.TestShip{n})\n#\n"
    );
    if is(mix.skipped, 3) {
        let _ = write!(log, "{header}ok {n} {name} # SKIP Known issue #154{n}\n\n");
    } else if is(mix.failed, 1) {
        for attempt in 1..=2 {
            failure(log, &header, n);
            let _ = writeln!(log, "not ok {n} {name} # RETRY {attempt} (be robust against unstable tests)");
        }
        failure(log, &header, n);
        let _ = writeln!(log, "not ok {n} {name}");
    } else {
        if is(mix.retried, 2) {
            failure(log, &header, n);
            let _ = writeln!(log, "not ok {n} {name} # RETRY 1 (be robust against unstable tests)");
        }
        let _ = write!(
            log,
            "{header}> info: the sails are set\n\x1b[32mok\x1b[0m wind from the west\n# 1 TEST PASSED [{}s on worker-7]\nok {n} {name}\n",
            3 + n % 50
        );
    }
}

fn failure(log: &mut String, header: &str, n: usize) {
    let picture = picture_name(n);
    let stem = picture.trim_end_matches("-FAIL.png");
    let _ = write!(
        log,
        "{header}> warning: \x1b[33mthe wind is changing\x1b[0m\nTraceback (most recent call last):\n  \
         File \"test/verify/check-ship\", line {n}, in testSail\n    b.wait_in_text(\"#course\", \"north\")\n\
         \x1b[1;31mtestlib.Error: timeout\x1b[0m: wait_js_cond(ph_in_text(\"#course\",\"north\")): Error: actual text: <b>south</b>\n\
         Wrote screenshot to {picture}\nWrote HTML dump to {stem}-FAIL.html\nJournal extracted to {stem}-FAIL.log.gz\n\
         # 1 TEST FAILED [{}s on worker-7]\n",
        20 + n % 70
    );
}

/// A PNG of one colour with a frame, as screenshots go; without compression, so small ones only.
pub fn picture(width: u32, height: u32) -> Vec<u8> {
    let mut rows = Vec::new();
    for y in 0..height {
        rows.push(0); // no filter
        for x in 0..width {
            let frame = x < 4 || y < 18 || x >= width - 4 || y >= height - 4;
            let pixel: [u8; 3] = if frame { [40, 70, 110] } else { [225, 232, 240] };
            rows.extend_from_slice(&pixel);
        }
    }
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    chunk(&mut png, *b"IHDR", &header);
    chunk(&mut png, *b"IDAT", &stored(&rows));
    chunk(&mut png, *b"IEND", &[]);
    png
}

/// zlib's format, without compression.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(65535).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).unwrap_or(u16::MAX);
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (a, b) = data.iter().fold((1_u32, 0_u32), |(a, b), byte| {
        let a = (a + u32::from(*byte)) % 65521;
        (a, (b + a) % 65521)
    });
    out.extend_from_slice(&(b << 16 | a).to_be_bytes());
    out
}

fn chunk(png: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) {
    let content = [&kind[..], data].concat();
    png.extend_from_slice(&u32::try_from(data.len()).unwrap_or(0).to_be_bytes());
    png.extend_from_slice(&content);
    let crc = content.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| crc >> 1 ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 })
    });
    png.extend_from_slice(&(!crc).to_be_bytes());
}
