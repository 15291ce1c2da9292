"""The addresses of delivery: templates, messages, suppressions, the local mailbox, and the way out for everybody."""

from switchboard.delivery import (
    pages_mailbox,
    pages_messages,
    pages_suppressions,
    pages_templates,
    pages_unsubscribe,
)

routes = [
    *pages_templates.routes,
    *pages_messages.routes,
    *pages_suppressions.routes,
    *pages_mailbox.routes,
    *pages_unsubscribe.routes,
]
