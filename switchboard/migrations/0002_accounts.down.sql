DROP TABLE app.address_book;
DROP TABLE app.session;
DROP TABLE app.member;
DROP TABLE app.user_account;
DROP TABLE app.workspace;
