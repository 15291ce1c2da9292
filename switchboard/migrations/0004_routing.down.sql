DROP TABLE app.decision;
DROP TABLE app.assignment;
DROP TABLE app.routing_rule;
DROP TABLE app.rota_holiday;
DROP TABLE app.rota_override;
DROP TABLE app.rota_shift;
DROP TABLE app.rota_member;
DROP TABLE app.rota;
