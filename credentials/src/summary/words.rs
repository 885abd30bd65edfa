//! The parts of a certificate in words.

use std::net::IpAddr;

use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
use x509_parser::prelude::X509Certificate;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::{SubjectPublicKeyInfo, X509Name};

/// A distinguished name, such as `O=Example, CN=host`.
pub(super) fn name(name: &X509Name<'_>) -> String {
    let text = printable(&name.to_string());
    if text.is_empty() { "(empty)".to_owned() } else { text }
}

/// The subject alternative names.
pub(super) fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    match certificate.subject_alternative_name() {
        Ok(Some(extension)) => extension.value.general_names.iter().map(general_name).collect(),
        Ok(None) => Vec::new(),
        Err(_) => vec![DAMAGED.to_owned()],
    }
}

/// The extended key usages.
pub(super) fn purposes(certificate: &X509Certificate<'_>) -> Vec<String> {
    match certificate.extended_key_usage() {
        Ok(Some(extension)) => usages(extension.value),
        Ok(None) => Vec::new(),
        Err(_) => vec![DAMAGED.to_owned()],
    }
}

/// The kind of a key, and its size where the kind does not tell it.
pub(super) fn key(info: &SubjectPublicKeyInfo<'_>) -> String {
    if let Ok(PublicKey::RSA(key)) = info.parsed() {
        return format!("RSA, {} bits", key.key_size());
    }
    let curve = info.algorithm.parameters.as_ref().and_then(|it| it.as_oid().ok());
    let id = curve.unwrap_or_else(|| info.algorithm.algorithm.clone()).to_id_string();
    match id.as_str() {
        "1.2.840.10045.3.1.7" => "ECDSA, P-256".to_owned(),
        "1.3.132.0.34" => "ECDSA, P-384".to_owned(),
        "1.3.132.0.35" => "ECDSA, P-521".to_owned(),
        "1.3.101.112" => "Ed25519".to_owned(),
        "1.3.101.113" => "Ed448".to_owned(),
        _ => format!("of a kind unknown here (OID {id})"),
    }
}

/// An extension that is there twice, or cannot be read.
const DAMAGED: &str = "(damaged)";

fn general_name(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::DNSName(text) => printable(text),
        GeneralName::IPAddress(bytes) => address(bytes),
        GeneralName::RFC822Name(text) => format!("mail {}", printable(text)),
        GeneralName::URI(text) => format!("URI {}", printable(text)),
        GeneralName::DirectoryName(it) => format!("directory {}", self::name(it)),
        other => printable(&other.to_string()),
    }
}

fn address(bytes: &[u8]) -> String {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(bytes).map(IpAddr::from);
    v4.or(v6).map_or_else(|_| DAMAGED.to_owned(), |it| it.to_string())
}

fn usages(usage: &ExtendedKeyUsage<'_>) -> Vec<String> {
    let known = [
        (usage.any, "any"),
        (usage.server_auth, "TLS server"),
        (usage.client_auth, "TLS client"),
        (usage.code_signing, "code signing"),
        (usage.email_protection, "e-mail protection"),
        (usage.time_stamping, "time stamping"),
        (usage.ocsp_signing, "OCSP signing"),
    ];
    let known = known.into_iter().filter(|(is_set, _)| *is_set).map(|(_, words)| words.to_owned());
    known.chain(usage.other.iter().map(|oid| format!("OID {}", oid.to_id_string()))).collect()
}

/// A certificate may come from anybody, and terminals obey control characters.
fn printable(text: &str) -> String {
    let mut safe = String::new();
    for character in text.chars() {
        if character.is_control() {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(printable("a\u{1b}[31m\nü"), "a\\u{1b}[31m\\nü");
    }

    #[test]
    fn addresses_of_an_odd_length_are_damaged() {
        assert_eq!(address(&[127, 0, 0, 1]), "127.0.0.1");
        assert_eq!(address(&[0; 16]), "::");
        assert_eq!(address(&[1, 2, 3]), DAMAGED);
    }
}
