//! One crypto provider for the whole process: aws-lc-rs.

/// First line of every `main`. Without it, rustls panics as soon as two providers are in one build (ecosystem notes, 3).
pub fn install() {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        tracing::debug!("a crypto provider is installed already");
    }
}
