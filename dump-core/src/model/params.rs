//! PEB, process parameters and loader data, for both bitnesses.

use crate::base::Va;

/// `RTL_USER_PROCESS_PARAMETERS`, decoded. Texts are untrusted; `None` means unreadable.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessParameters {
    /// Address of the block.
    pub address: Va,
    /// Full path of the program.
    pub image_path: Option<String>,
    /// Command line.
    pub command_line: Option<String>,
    /// Current directory.
    pub current_directory: Option<String>,
    /// DLL search path.
    pub dll_path: Option<String>,
    /// Window title.
    pub window_title: Option<String>,
    /// Address of the environment block.
    pub environment_address: Va,
    /// `NAME=value` strings in their order.
    pub environment: Vec<String>,
}
