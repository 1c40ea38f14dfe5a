//! The two messages of the demo, as a district would post them.

use serde_json::{Value, json};

/// Tried three times at most; ten seconds between tries is the shortest that the API takes.
const ATTEMPTS_MAX: u8 = 3;
const REDIAL_WAIT_SECONDS: u32 = 10;

/// The first message: sent to its end.
pub fn early_dismissal() -> Value {
    let long = [
        (
            None,
            "Dear {{ given_name | family }}: because of the storm {{ school_name | our school }} closes at noon \
             today. Please pick up {{ student_given_name | your student }} by 12:15, or reply to the office.",
        ),
        (
            Some("es"),
            "Estimada familia de {{ student_given_name | su estudiante }}: por la tormenta, \
             {{ school_name | nuestra escuela }} cierra hoy al mediodía. Por favor recójalo antes de las 12:15.",
        ),
        (
            Some("vi"),
            "Kính gửi gia đình {{ student_given_name | học sinh }}: vì bão, {{ school_name | trường }} đóng cửa \
             lúc 12 giờ trưa hôm nay. Xin đón con trước 12:15.",
        ),
    ];
    let short = [
        (None, "{{ school_name | School }} closes at noon today. Pick-up by 12:15."),
        (Some("es"), "{{ school_name | La escuela }} cierra hoy al mediodía. Recoger antes de las 12:15."),
        (Some("vi"), "{{ school_name | Trường }} đóng cửa lúc 12 giờ trưa nay. Đón con trước 12:15."),
    ];
    message("Early dismissal today", "priority", &long, &short)
}

/// The second message: canceled half-way, for it names the wrong day.
pub fn picture_day() -> Value {
    let long = [
        (
            None,
            "Picture day at {{ school_name | our school }} is on Thursday. {{ student_given_name | Your student }} \
             brings the order form home today.",
        ),
        (
            Some("es"),
            "El día de fotos en {{ school_name | nuestra escuela }} es el jueves. \
             {{ student_given_name | Su estudiante }} lleva hoy el formulario a casa.",
        ),
        (
            Some("vi"),
            "Ngày chụp ảnh tại {{ school_name | trường }} là thứ Năm. {{ student_given_name | Con quý vị }} mang \
             phiếu đặt về nhà hôm nay.",
        ),
    ];
    let short = [
        (None, "Picture day at {{ school_name | school }} is on Thursday."),
        (Some("es"), "El día de fotos en {{ school_name | la escuela }} es el jueves."),
        (Some("vi"), "Ngày chụp ảnh tại {{ school_name | trường }} là thứ Năm."),
    ];
    message("Picture day on Thursday", "general", &long, &short)
}

type Texts = [(Option<&'static str>, &'static str); 3];

/// `short` is for texts, `long` for everything else, each in the recipient's language.
fn message(subject: &str, message_type: &str, long: &Texts, short: &Texts) -> Value {
    let everywhere = long.iter().map(|(language, body)| json!({ "language": language, "body": body }));
    let texts =
        short.iter().map(|(language, body)| json!({ "language": language, "channel": "sms", "body": body }));
    json!({
        "subject": subject,
        "message_type": message_type,
        "channels": ["voice", "sms", "email", "inbox"],
        "audience": { "all": true },
        "contents": everywhere.chain(texts).collect::<Vec<_>>(),
        "redial": { "attempts_max": ATTEMPTS_MAX, "wait_seconds": REDIAL_WAIT_SECONDS },
        "created_by": "Principal Ortiz",
    })
}
