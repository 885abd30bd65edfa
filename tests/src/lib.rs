//! The test harness: a real `RabbitMQ`, a real podman and real git repositories, made from what
//! is installed on this machine and gone when the test is.
//!
//! | module | what it gives a test |
//! |---|---|
//! | [`broker`] | a private `RabbitMQ` with TLS, virtual hosts, kill and restart |
//! | [`secrets`] | the folder of certificates and tokens that our programs read |
//! | [`engine`] | a podman that works here, and the words that make its containers reach us |
//! | [`image`] | an image with a shell and git, made without a registry |
//! | [`git`] | repositories served over `git://` |
//! | [`s3`] | a bucket over TLS that checks signatures, with faults |
//! | [`disk`] | a small disk that can be full |
//! | [`mail`] | a mail server, with troubles |
//! | [`forge`] | a forge that keeps state: pulls, statuses, contents, webhooks |
//! | [`fleet`] | all of these with our own programs, and the verbs of tests |
//! | [`steps`] | what a program does that others can see, and its death at each such step |
//! | [`faults`] | a fleet in which everything breaks, and what must be true of it afterwards |
//! | [`openapi`] | what GitHub says of its API |
//! | [`browser`] | Chromium without a screen, and a web server with a log that grows |
//! | [`wait`] | waiting for what nobody tells of |
//! | [`memory`] | how much of it a process has |
//! | [`leftovers`] | what a run has left behind |
//! | [`local`] | a fleet to look at: `tests/run-local.sh` |
//! | [`situations`] | what programs of both generations do in the same situation |
//! | [`services`] | all of it at once, for a run of many tests |
//!
//! `with-services -- COMMAND` starts these once for a whole run of tests; without it every test
//! that needs one starts its own.

pub mod broker;
pub mod browser;
pub mod disk;
pub mod engine;
pub mod faults;
pub mod fleet;
pub mod forge;
pub mod git;
pub mod group;
pub mod image;
pub mod leftovers;
pub mod local;
pub mod mail;
pub mod memory;
pub mod openapi;
pub mod ports;
pub mod proxy;
pub mod s3;
pub mod secrets;
pub mod services;
pub mod settings;
pub mod situations;
pub mod steps;
pub mod wait;
