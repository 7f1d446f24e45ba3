//! Names and messages of common NTSTATUS codes.

/// The system's message for an NTSTATUS code, else its name in the SDK.
#[must_use]
pub fn message(code: u32) -> Option<&'static str> {
    super::find(TABLE, code).or_else(|| dumpscope_analyzers::crash::ntstatus_name(code))
}

const TABLE: &[(u32, &str)] = &[
    (0x0000_0000, "STATUS_SUCCESS"),
    (0x0000_0001, "STATUS_WAIT_1"),
    (0x0000_0002, "STATUS_WAIT_2"),
    (0x0000_0003, "STATUS_WAIT_3"),
    (0x0000_003f, "STATUS_WAIT_63"),
    (0x0000_0080, "STATUS_ABANDONED_WAIT_0"),
    (0x0000_00bf, "STATUS_ABANDONED_WAIT_63"),
    (0x0000_00c0, "STATUS_USER_APC"),
    (0x0000_0100, "STATUS_KERNEL_APC"),
    (0x0000_0101, "STATUS_ALERTED"),
    (0x0000_0102, "STATUS_TIMEOUT"),
    (0x0000_0103, "The operation that was requested is pending completion."),
    (
        0x0000_0104,
        "A reparse should be performed by the Object Manager since the name of the file resulted in a symbolic link.",
    ),
    (
        0x0000_0105,
        "Returned by enumeration APIs to indicate more information is available to successive calls.",
    ),
    (
        0x0000_0106,
        "Indicates not all privileges or groups referenced are assigned to the caller. This allows, for example, all privileges to be disabled without having to know exactly which privileges are assigned.",
    ),
    (0x0000_0107, "Some of the information to be translated has not been translated."),
    (0x0000_0108, "An open/create operation completed while an oplock break is underway."),
    (
        0x0000_010b,
        "Indicates that a notify change request has been completed due to closing the handle which made the notify change request.",
    ),
    (
        0x0000_010c,
        "Indicates that a notify change request is being completed and that the information is not being returned in the caller's buffer. The caller now needs to enumerate the files to find the changes.",
    ),
    (
        0x4000_0000,
        "{Object Exists} An attempt was made to create an object and the object name already existed.",
    ),
    (
        0x4000_0003,
        "{Image Relocated} An image file could not be mapped at the address specified in the image file. Local fixups must be performed on this image.",
    ),
    (
        0x4000_000e,
        "{Machine Type Mismatch} The image file %hs is valid, but is for a machine type other than the current machine.",
    ),
    (0x4000_0015, "{Fatal Application Exit} %hs"),
    (0x4000_001e, "A Win32 x86 emulation subsystem single step exception occurred."),
    (0x4000_001f, "An exception status code used by the Win32 x86 emulation subsystem."),
    (0x4001_0003, "Debugger terminated thread."),
    (0x4001_0005, "Debugger got control C."),
    (
        0x8000_0001,
        "{EXCEPTION} Guard Page Exception A page of memory that marks the end of a data structure, such as a stack or an array, has been accessed.",
    ),
    (
        0x8000_0002,
        "{EXCEPTION} Alignment Fault A datatype misalignment was detected in a load or store instruction.",
    ),
    (0x8000_0003, "{EXCEPTION} Breakpoint A breakpoint has been reached."),
    (0x8000_0004, "{EXCEPTION} Single Step A single step or trace operation has just been completed."),
    (0x8000_0005, "{Buffer Overflow} The data was too large to fit into the specified buffer."),
    (0x8000_0006, "{No More Files} No more files were found which match the file specification."),
    (0x8000_0007, "{Kernel Debugger Awakened} The system debugger was awakened by an interrupt."),
    (
        0x8000_000a,
        "{Handles Closed} Handles to objects have been automatically closed as a result of the requested operation.",
    ),
    (
        0x8000_000d,
        "{Partial Copy} Because of protection conflicts not all the requested bytes could be copied.",
    ),
    (0x8000_001a, "{No More Entries} No more entries are available from an enumeration operation."),
    (0x8000_0026, "{Long Jump} A long jump has been executed."),
    (0x8000_0029, "{Unwind Consolidation} Frame consolidation has been executed."),
    (0xc000_0001, "{Operation Failed} The requested operation was unsuccessful."),
    (0xc000_0002, "{Not Implemented} The requested operation is not implemented."),
    (
        0xc000_0003,
        "{Invalid Parameter} The specified information class is not a valid information class for the specified object.",
    ),
    (
        0xc000_0004,
        "The specified information record length does not match the length required for the specified information class.",
    ),
    (0xc000_0005, "The instruction at 0x%p referenced memory at 0x%p. The memory could not be %s."),
    (
        0xc000_0006,
        "The instruction at 0x%p referenced memory at 0x%p. The required data was not placed into memory because of an I/O error status of 0x%x.",
    ),
    (0xc000_0007, "The pagefile quota for the process has been exhausted."),
    (0xc000_0008, "An invalid HANDLE was specified."),
    (0xc000_0009, "An invalid initial stack was specified in a call to NtCreateThread."),
    (0xc000_000a, "An invalid initial start address was specified in a call to NtCreateThread."),
    (0xc000_000b, "An invalid Client ID was specified."),
    (0xc000_000d, "An invalid parameter was passed to a service or function."),
    (0xc000_000e, "A device which does not exist was specified."),
    (0xc000_000f, "{File Not Found} The file %hs does not exist."),
    (0xc000_0010, "The specified request is not a valid operation for the target device."),
    (
        0xc000_0011,
        "The end-of-file marker has been reached. There is no valid data in the file beyond this marker.",
    ),
    (0xc000_0013, "{No Disk} There is no disk in the drive. Please insert a disk into drive %hs."),
    (
        0xc000_0016,
        "{Still Busy} The specified I/O request packet (IRP) cannot be disposed of because the I/O operation is not complete.",
    ),
    (
        0xc000_0017,
        "{Not Enough Quota} Not enough virtual memory or paging file quota is available to complete the specified operation.",
    ),
    (
        0xc000_0018,
        "{Conflicting Address Range} The specified address range conflicts with the address space.",
    ),
    (0xc000_0019, "Address range to unmap is not a mapped view."),
    (0xc000_001a, "Virtual memory cannot be freed."),
    (0xc000_001c, "An invalid system service was specified in a system service call."),
    (0xc000_001d, "{EXCEPTION} Illegal Instruction An attempt was made to execute an illegal instruction."),
    (0xc000_001e, "{Invalid Lock Sequence} An attempt was made to execute an invalid lock sequence."),
    (
        0xc000_001f,
        "{Invalid Mapping} An attempt was made to create a view for a section which is bigger than the section.",
    ),
    (
        0xc000_0020,
        "{Bad File} The attributes of the specified mapping file for a section of memory cannot be read.",
    ),
    (0xc000_0021, "{Already Committed} The specified address range is already committed."),
    (
        0xc000_0022,
        "{Access Denied} A process has requested access to an object, but has not been granted those access rights.",
    ),
    (
        0xc000_0023,
        "{Buffer Too Small} The buffer is too small to contain the entry. No information has been written to the buffer.",
    ),
    (
        0xc000_0024,
        "{Wrong Type} There is a mismatch between the type of object required by the requested operation and the type of object that is specified in the request.",
    ),
    (0xc000_0025, "{EXCEPTION} Cannot Continue Windows cannot continue from this exception."),
    (0xc000_0026, "An invalid exception disposition was returned by an exception handler."),
    (0xc000_002b, "The data is in error: parity error."),
    (0xc000_0030, "An invalid combination of parameters was specified."),
    (0xc000_0033, "Object Name invalid."),
    (0xc000_0034, "Object Name not found."),
    (0xc000_0035, "Object Name already exists."),
    (0xc000_0037, "Attempt to send a message to a disconnected communication port."),
    (0xc000_0039, "Object Path Component was not a directory object."),
    (0xc000_003a, "{Path Not Found} The path %hs does not exist."),
    (0xc000_003b, "Object Path Component was not a directory object."),
    (0xc000_0041, "Access is denied to the connection port."),
    (0xc000_0042, "An invalid port handle was specified."),
    (0xc000_0043, "A file cannot be opened because the share access flags are incompatible."),
    (0xc000_0044, "Insufficient quota exists to complete the operation."),
    (0xc000_0045, "The specified page protection was not valid."),
    (
        0xc000_0046,
        "An attempt to release a mutant object was made by a thread that was not the owner of the mutant object.",
    ),
    (
        0xc000_0047,
        "An attempt was made to release a semaphore such that its maximum count would have been exceeded.",
    ),
    (0xc000_0049, "An attempt was made to query image information on a section which does not map an image."),
    (0xc000_004a, "An attempt was made to suspend a thread whose suspend count was at its maximum."),
    (0xc000_004b, "An attempt was made to access a thread that has begun termination."),
    (0xc000_0054, "A requested read/write cannot be granted due to a conflicting file lock."),
    (0xc000_0055, "A requested file lock cannot be granted due to other existing locks."),
    (0xc000_0056, "A non close operation has been requested of a file object with a delete pending."),
    (0xc000_0061, "A required privilege is not held by the client."),
    (0xc000_0064, "The specified account does not exist."),
    (
        0xc000_006a,
        "When trying to update a password, this return status indicates that the value provided as the current password is not correct.",
    ),
    (
        0xc000_006d,
        "The attempted logon is invalid. This is either due to a bad username or authentication information.",
    ),
    (
        0xc000_006e,
        "Indicates a referenced user name and authentication information are valid, but some user account restriction has prevented successful authentication (such as time-of-day restrictions).",
    ),
    (0xc000_0073, "None of the information to be translated has been translated."),
    (0xc000_007a, "{Procedure Not Found} The specified procedure address cannot be found in the DLL."),
    (
        0xc000_007b,
        "{Bad Image} %hs is either not designed to run on Windows or it contains an error. Try installing the program again using the original installation media or contact your system administrator or the software vendor for support. Error status 0x",
    ),
    (
        0xc000_007c,
        "An attempt was made to reference a token that does not exist. This is typically done by referencing the token associated with a thread when the thread is not impersonating a client.",
    ),
    (0xc000_007f, "An operation failed because the disk was full."),
    (0xc000_0089, "Indicates the specified resource data cannot be found in the image file."),
    (0xc000_008a, "Indicates the specified resource type cannot be found in the image file."),
    (0xc000_008b, "Indicates the specified resource name cannot be found in the image file."),
    (0xc000_008c, "{EXCEPTION} Array bounds exceeded."),
    (0xc000_008d, "{EXCEPTION} Floating-point denormal operand."),
    (0xc000_008e, "{EXCEPTION} Floating-point division by zero."),
    (0xc000_008f, "{EXCEPTION} Floating-point inexact result."),
    (0xc000_0090, "{EXCEPTION} Floating-point invalid operation."),
    (0xc000_0091, "{EXCEPTION} Floating-point overflow."),
    (0xc000_0092, "{EXCEPTION} Floating-point stack check."),
    (0xc000_0093, "{EXCEPTION} Floating-point underflow."),
    (0xc000_0094, "{EXCEPTION} Integer division by zero."),
    (0xc000_0095, "{EXCEPTION} Integer overflow."),
    (0xc000_0096, "{EXCEPTION} Privileged instruction."),
    (
        0xc000_0098,
        "The volume for a file has been externally altered such that the opened file is no longer valid.",
    ),
    (0xc000_009a, "Insufficient system resources exist to complete the API."),
    (
        0xc000_00a2,
        "{Write Protect Error} The disk cannot be written to because it is write protected. Please remove the write protection from the volume %hs in drive %hs.",
    ),
    (
        0xc000_00a3,
        "{Drive Not Ready} The drive is not ready for use; its door may be open. Please check drive %hs and make sure that a disk is inserted and that the drive door is closed.",
    ),
    (0xc000_00ac, "An instance of a named pipe cannot be found in the listening state."),
    (0xc000_00ad, "The named pipe is not in the connected or closing state."),
    (
        0xc000_00ae,
        "The specified pipe is set to complete operations and there are current I/O operations queued so it cannot be changed to queue operations.",
    ),
    (0xc000_00b0, "The specified named pipe is in the disconnected state."),
    (0xc000_00b1, "The specified named pipe is in the closing state."),
    (0xc000_00b2, "The specified named pipe is in the connected state."),
    (0xc000_00b3, "The specified named pipe is in the listening state."),
    (
        0xc000_00b5,
        "{Device Timeout} The specified I/O operation on %hs was not completed before the time-out period expired.",
    ),
    (
        0xc000_00ba,
        "The file that was specified as a target is a directory and the caller specified that it could be anything but a directory.",
    ),
    (0xc000_00bb, "The request is not supported."),
    (0xc000_00c9, "The network name was deleted."),
    (0xc000_00ca, "Network access is denied."),
    (0xc000_00cc, "{Network Name Not Found} The specified share name cannot be found on the remote server."),
    (0xc000_00e5, "An internal error occurred."),
    (0xc000_00e8, "An invalid user buffer was passed to a service."),
    (0xc000_00ef, "An invalid parameter was passed to a service or function as the first argument."),
    (0xc000_00f0, "An invalid parameter was passed to a service or function as the second argument."),
    (0xc000_00f1, "An invalid parameter was passed to a service or function as the third argument."),
    (0xc000_00f2, "An invalid parameter was passed to a service or function as the fourth argument."),
    (0xc000_00fd, "A new guard page for the stack cannot be created."),
    (0xc000_0101, "Indicates that the directory trying to be deleted is not empty."),
    (
        0xc000_0102,
        "{Corrupt File} The file or directory %hs is corrupt and unreadable. Please run the Chkdsk utility.",
    ),
    (0xc000_0103, "A requested opened file is not a directory."),
    (0xc000_0106, "A specified name string is too long for its intended use."),
    (0xc000_010a, "An attempt was made to duplicate an object handle into or out of an exiting process."),
    (0xc000_0120, "The I/O request was canceled."),
    (0xc000_0121, "An attempt has been made to remove a file or directory that cannot be deleted."),
    (
        0xc000_0123,
        "An I/O request other than close and several other special case operations was attempted using a file object that had already been deleted.",
    ),
    (
        0xc000_0128,
        "An I/O request other than close was attempted using a file object that had already been closed.",
    ),
    (
        0xc000_012d,
        "{Out of Virtual Memory} Your system is low on virtual memory. To ensure that Windows runs properly, increase the size of your virtual memory paging file. For more information, see Help.",
    ),
    (
        0xc000_0135,
        "{Unable To Locate Component} This application has failed to start because %hs was not found. Reinstalling the application might fix this problem.",
    ),
    (
        0xc000_0138,
        "{Ordinal Not Found} The ordinal %ld could not be located in the dynamic link library %hs.",
    ),
    (
        0xc000_0139,
        "{Entry Point Not Found} The procedure entry point %hs could not be located in the dynamic link library %hs.",
    ),
    (0xc000_013a, "{Application Exit by CTRL+C} The application terminated as a result of a CTRL+C."),
    (
        0xc000_0142,
        "{DLL Initialization Failed} Initialization of the dynamic link library %hs failed. The process is terminating abnormally.",
    ),
    (0xc000_014b, "The pipe operation has failed because the other end of the pipe has been closed."),
    (0xc000_0185, "The I/O device reported an I/O error."),
    (0xc000_0194, "{EXCEPTION} Possible deadlock condition."),
    (0xc000_0203, "The remote user session has been deleted."),
    (0xc000_020c, "The transport connection is now disconnected."),
    (0xc000_020d, "The transport connection has been reset."),
    (0xc000_0225, "The object was not found."),
    (0xc000_0236, "The transport connection attempt was refused by the remote system."),
    (0xc000_0241, "The transport connection was aborted by the local system."),
    (0xc000_027b, "An application-internal exception has occurred."),
    (0xc000_0374, "A heap has been corrupted."),
    (
        0xc000_0409,
        "The system detected an overrun of a stack-based buffer in this application. This overrun could potentially allow a malicious user to gain control of this application.",
    ),
    (0xc000_0417, "An invalid parameter was passed to a C runtime function."),
    (0xc000_041d, "An unhandled exception was encountered during a user callback."),
    (0xc000_0420, "An assertion failure has occurred."),
    (
        0xc000_0428,
        "Windows cannot verify the digital signature for this file. A recent hardware or software change might have installed a file that is signed incorrectly or damaged, or that might be malicious software from an unknown source.",
    ),
    (
        0xc000_0602,
        "{Fail Fast Exception} A fail fast exception occurred. Exception handlers will not be invoked and the process will be terminated immediately.",
    ),
    (0xc002_0001, "The string binding is invalid."),
    (0xc002_0002, "The binding handle is not the correct type."),
    (0xc002_0003, "The binding handle is invalid."),
    (0xc002_0017, "The RPC server is unavailable."),
    (0xc002_0018, "The RPC server is too busy to complete this operation."),
    (0xc002_001b, "The remote procedure call failed."),
    (0xc002_001c, "The remote procedure call failed and did not execute."),
    (0xc002_0043, "An internal error occurred in RPC."),
    (0xc002_0049, "A remote procedure call is already in progress for this thread."),
    (0xc003_000c, "The stub received bad data."),
    (0xc015_0001, "The requested section is not present in the activation context."),
    (0xc015_0004, "The application binding data format is invalid."),
    (0xc015_0008, "The requested lookup key was not found in any active activation context."),
    (0xc015_000f, "The activation context being deactivated is not the most recently activated one."),
    (
        0xc015_0010,
        "The activation context being deactivated is not active for the current thread of execution.",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorted_and_found() {
        crate::tables::assert_sorted(TABLE);
        assert_eq!(message(0xc000_0034), Some("Object Name not found."));
        assert_eq!(message(0xc0ff_ffff), None);
    }
}
