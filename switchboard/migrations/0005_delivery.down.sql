DROP TABLE app.mailbox_mail;
DROP TABLE app.suppression;
DROP TABLE app.channel_break;
DROP TABLE app.attempt;
DROP TABLE app.outbox;
DROP TABLE app.message;
DROP TABLE app.template_version;
DROP TABLE app.template;
