//! What calls say of themselves, beside their message.

/// In one language, spoken by one voice.
#[derive(Debug)]
pub(super) struct Phrases {
    pub voice: &'static str,
    pub ask: &'static str,
    pub thanks: &'static str,
    pub goodbye: &'static str,
}

const ENGLISH: Phrases = Phrases {
    voice: "en-US",
    ask: "To confirm that you heard this message, press 0. To hear it again, press star.",
    thanks: "Thank you. Goodbye.",
    goodbye: "Goodbye.",
};

const OTHERS: [Phrases; 6] = [
    Phrases {
        voice: "es-MX",
        ask: "Para confirmar que escuchó este mensaje, oprima 0. Para escucharlo de nuevo, oprima la tecla de asterisco.",
        thanks: "Gracias. Adiós.",
        goodbye: "Adiós.",
    },
    Phrases {
        voice: "fr-FR",
        ask: "Pour confirmer que vous avez entendu ce message, appuyez sur 0. Pour le réécouter, appuyez sur étoile.",
        thanks: "Merci. Au revoir.",
        goodbye: "Au revoir.",
    },
    Phrases {
        voice: "pt-BR",
        ask: "Para confirmar que ouviu esta mensagem, pressione 0. Para ouvi-la de novo, pressione asterisco.",
        thanks: "Obrigado. Até logo.",
        goodbye: "Até logo.",
    },
    Phrases {
        voice: "de-DE",
        ask: "Um zu bestätigen, dass Sie diese Nachricht gehört haben, drücken Sie die 0. Um sie noch einmal zu hören, drücken Sie die Sterntaste.",
        thanks: "Vielen Dank. Auf Wiederhören.",
        goodbye: "Auf Wiederhören.",
    },
    Phrases {
        voice: "it-IT",
        ask: "Per confermare di aver ascoltato questo messaggio, prema 0. Per riascoltarlo, prema asterisco.",
        thanks: "Grazie. Arrivederci.",
        goodbye: "Arrivederci.",
    },
    Phrases {
        voice: "zh-CN",
        ask: "如已听到此消息，请按 0 确认。如需重听，请按星号键。",
        thanks: "谢谢。再见。",
        goodbye: "再见。",
    },
];

/// In the language of `voice`, whatever its region; in English where that is not known, or has no phrases here.
pub(super) fn of(voice: Option<&str>) -> &'static Phrases {
    let language = |voice: &str| voice.split('-').next().unwrap_or_default().to_owned();
    let wanted = voice.map(language);
    OTHERS.iter().find(|phrases| Some(language(phrases.voice)) == wanted).unwrap_or(&ENGLISH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_those_of_the_language_and_english_where_there_are_none() {
        for (voice, spoken_by) in [
            (Some("es-US"), "es-MX"),
            (Some("fr-CA"), "fr-FR"),
            (Some("en-GB"), "en-US"),
            (Some("ko-KR"), "en-US"),
            (None, "en-US"),
        ] {
            assert_eq!(of(voice).voice, spoken_by, "{voice:?}");
        }
    }
}
