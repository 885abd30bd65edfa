//! Who may do what in the bucket, and what it is called.

use s3s::access::{S3Access, S3AccessContext};
use s3s::host::{S3Host, VirtualHost};
use s3s::{S3Result, s3_error};

use super::BUCKET;

/// Everybody reads objects; the key does the rest.
pub(super) struct Public;

#[async_trait::async_trait]
impl S3Access for Public {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let is_reading = matches!(cx.s3_op().name(), "GetObject" | "HeadObject");
        match cx.credentials() {
            Some(_) => Ok(()),
            None if is_reading => Ok(()),
            None => Err(s3_error!(AccessDenied, "Access Denied")),
        }
    }
}

/// `logs.localhost` is the bucket; at other names a path begins with it.
pub(super) struct Names;

impl S3Host for Names {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        Ok(match host.strip_prefix(BUCKET).and_then(|it| it.strip_prefix('.')) {
            Some(domain) => VirtualHost::new(domain).with_bucket(BUCKET),
            None => VirtualHost::new(host),
        })
    }
}
