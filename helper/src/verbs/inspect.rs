//! `hotfork inspect`

use crate::cli::InspectArgs;
use crate::exit::Failure;
use crate::image::describe;
use crate::image::read::Image;

pub fn run(args: &InspectArgs) -> Result<i32, Failure> {
    let image = Image::open(&args.file, args.trust_owner)?;
    if args.json {
        println!("{}", describe::json(&image));
    } else {
        print!("{}", describe::text(&image));
    }
    Ok(0)
}
