//! The client against real daemons: the engines of the testbed.

mod build;
mod connect;
mod exports;
mod failures;
mod files;
mod graph;
mod images;
mod testbed;
