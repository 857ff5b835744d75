DROP TABLE refused_messages;
