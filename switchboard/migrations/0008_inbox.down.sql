DROP TABLE app.attachment;
DROP TABLE app.inbound_mail;
DROP TABLE app.draft;
DROP TABLE app.conversation;
