"""Hearing that somebody wants no more mail, from the words of their answer."""

import unicodedata

# One line that says nothing else. Longer sentences are for a person to read: "stop by on Monday" is no opt-out.
_PHRASES = frozenset(
    {
        *(
            "stop",
            "stop all",
            "stop mail",
            "stop mailing me",
            "stop emailing me",
            "stop sending me emails",
            "unsubscribe",
        ),
        *(
            "unsubscribe me",
            "please unsubscribe",
            "please unsubscribe me",
            "please stop",
            "opt out",
            "opt me out",
            "remove me",
        ),
        *("please remove me", "take me off your list", "remove me from your list", "remove me from this list"),
        *("stopp", "abmelden", "abbestellen", "austragen", "bitte abmelden", "bitte austragen", "keine werbung"),
        *(
            "désinscription",
            "désabonnement",
            "se désabonner",
            "me désabonner",
            "désinscrire",
            "se désinscrire",
            "arrêt",
        ),
        *("baja", "dar de baja", "darme de baja", "darse de baja", "cancelar suscripción", "no más correos"),
        *("cancelar inscrição", "cancelar assinatura", "descadastrar", "sair da lista"),
        *("cancellami", "disiscrivimi", "annulla iscrizione", "cancella iscrizione", "disiscrizione"),
        *("afmelden", "uitschrijven", "schrijf me uit", "wypisz", "wypisz mnie", "rezygnuję"),
        *(
            "avregistrera",
            "avsluta prenumeration",
            "afmeld",
            "frameld",
            "meld meg av",
            "avmeld",
            "odhlásit",
            "odhlaste mě",
        ),
        *("отписаться", "отпишите меня", "стоп", "abonelikten çık", "listeden çıkar"),
        *(
            "配信停止",
            "配信停止希望",
            "退订",
            "退訂",
            "取消订阅",
            "수신거부",
            "구독취소",
            "구독 취소",
            "إلغاء الاشتراك",
            "توقف",
        ),
    }
)
# The first words of a request by the link that mail programs make of a List-Unsubscribe address.
_SUBJECTS = frozenset({"unsubscribe", "opt out", "remove"})
LONGEST_LINE = 60


def find_opt_out(reply: str, subject: str) -> str | None:
    """The words by which the writer of `reply` asks for no more mail, or None.

    `reply` is without what it quotes. The first line that is not empty counts, if it says that alone.
    """
    first = next((line.strip() for line in reply.splitlines() if line.strip()), "")
    if _fold(first) in _FOLDED:
        return first
    return subject.strip() if not first and _fold(subject) in _SUBJECTS else None


def _fold(text: str) -> str:
    if len(text) > LONGEST_LINE:
        return ""
    kept = "".join(
        " " if unicodedata.category(letter)[0] in "PSZC" else letter for letter in unicodedata.normalize("NFKC", text)
    )
    return " ".join(kept.casefold().split())


_FOLDED = frozenset(_fold(phrase) for phrase in _PHRASES)
