//! Operators and special names behind `??`.

use super::types::Cv;
use super::{Leaf, Parser};

impl Parser<'_> {
    pub(super) fn operator(&mut self) -> Option<Leaf> {
        let text = match self.next()? {
            b'0' => return Some(Leaf::Constructor(String::new())),
            b'1' => return Some(Leaf::Destructor),
            b'2' => "operator new",
            b'3' => "operator delete",
            b'4' => "operator=",
            b'5' => "operator>>",
            b'6' => "operator<<",
            b'7' => "operator!",
            b'8' => "operator==",
            b'9' => "operator!=",
            b'A' => "operator[]",
            b'B' => return Some(Leaf::Conversion(String::new())),
            b'C' => "operator->",
            b'D' => "operator*",
            b'E' => "operator++",
            b'F' => "operator--",
            b'G' => "operator-",
            b'H' => "operator+",
            b'I' => "operator&",
            b'J' => "operator->*",
            b'K' => "operator/",
            b'L' => "operator%",
            b'M' => "operator<",
            b'N' => "operator<=",
            b'O' => "operator>",
            b'P' => "operator>=",
            b'Q' => "operator,",
            b'R' => "operator()",
            b'S' => "operator~",
            b'T' => "operator^",
            b'U' => "operator|",
            b'V' => "operator&&",
            b'W' => "operator||",
            b'X' => "operator*=",
            b'Y' => "operator+=",
            b'Z' => "operator-=",
            b'_' => return self.underscore(),
            _ => return None,
        };
        Some(Leaf::Text(text.into()))
    }

    fn underscore(&mut self) -> Option<Leaf> {
        let text = match self.next()? {
            b'0' => "operator/=",
            b'1' => "operator%=",
            b'2' => "operator>>=",
            b'3' => "operator<<=",
            b'4' => "operator&=",
            b'5' => "operator|=",
            b'6' => "operator^=",
            b'7' => return Some(Leaf::Table("`vftable'")),
            b'8' => return Some(Leaf::Table("`vbtable'")),
            b'9' => "`vcall'",
            b'A' => "`typeof'",
            b'B' => return Some(Leaf::Guard("`local static guard'")),
            b'C' => "`string'",
            b'D' => "`vbase destructor'",
            b'E' => "`vector deleting destructor'",
            b'F' => "`default constructor closure'",
            b'G' => "`scalar deleting destructor'",
            b'H' => "`vector constructor iterator'",
            b'I' => "`vector destructor iterator'",
            b'J' => "`vector vbase constructor iterator'",
            b'K' => "`virtual displacement map'",
            b'L' => "`eh vector constructor iterator'",
            b'M' => "`eh vector destructor iterator'",
            b'N' => "`eh vector vbase constructor iterator'",
            b'O' => "`copy constructor closure'",
            b'R' => return self.rtti(),
            b'S' => return Some(Leaf::Table("`local vftable'")),
            b'T' => "`local vftable constructor closure'",
            b'U' => "operator new[]",
            b'V' => "operator delete[]",
            b'X' => "`placement delete closure'",
            b'Y' => "`placement delete[] closure'",
            b'_' => return self.two_underscores(),
            _ => return None,
        };
        Some(Leaf::Text(text.into()))
    }

    fn two_underscores(&mut self) -> Option<Leaf> {
        let text = match self.next()? {
            b'A' => "`managed vector constructor iterator'",
            b'B' => "`managed vector destructor iterator'",
            b'C' => "`eh vector copy constructor iterator'",
            b'D' => "`eh vector vbase copy constructor iterator'",
            b'E' => return Some(Leaf::For("dynamic initializer")),
            b'F' => return Some(Leaf::For("dynamic atexit destructor")),
            b'G' => "`vector copy constructor iterator'",
            b'H' => "`vector vbase copy constructor iterator'",
            b'I' => "`managed vector vbase copy constructor iterator'",
            b'J' => return Some(Leaf::Guard("`local static thread guard'")),
            b'K' => {
                let suffix = self.simple_name()?;
                return Some(Leaf::Text(format!("operator \"\" {suffix}")));
            }
            b'L' => "operator co_await",
            b'M' => "operator<=>",
            _ => return None,
        };
        Some(Leaf::Text(text.into()))
    }

    fn rtti(&mut self) -> Option<Leaf> {
        match self.next()? {
            b'0' => {
                let cv = if self.eat(b"?") { self.cv()? } else { Cv::default() };
                let ty = self.ty()?.with(cv);
                let text = self.made(format!("{}{} `RTTI Type Descriptor'", ty.pre, ty.post))?;
                Some(Leaf::Whole(text))
            }
            b'1' => {
                let (a, b, c, d) = (self.number()?, self.number()?, self.number()?, self.number()?);
                Some(Leaf::Text(format!("`RTTI Base Class Descriptor at ({a},{b},{c},{d})'")))
            }
            b'2' => Some(Leaf::Text("`RTTI Base Class Array'".into())),
            b'3' => Some(Leaf::Text("`RTTI Class Hierarchy Descriptor'".into())),
            b'4' => Some(Leaf::Table("`RTTI Complete Object Locator'")),
            _ => None,
        }
    }
}
