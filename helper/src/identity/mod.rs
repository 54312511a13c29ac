//! What makes two java commands the same command, and a file the same file.

pub mod argument_file;
pub mod class_path;
pub mod command;
pub mod files;
pub mod launcher;
