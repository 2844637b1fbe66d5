CREATE TABLE `count_checks` (
	`table_name` varchar(16) NOT NULL,
	`after_id` bigint unsigned NOT NULL DEFAULT 0,
	`untold` text,
	CONSTRAINT `count_checks_table_name` PRIMARY KEY(`table_name`)
);
