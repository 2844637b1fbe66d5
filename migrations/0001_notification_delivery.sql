CREATE TABLE `notification_readers` (
	`user_id` bigint unsigned NOT NULL,
	`leased_until` bigint unsigned NOT NULL DEFAULT 0,
	`wishes` int unsigned NOT NULL DEFAULT 0,
	CONSTRAINT `notification_readers_user_id` PRIMARY KEY(`user_id`)
);
--> statement-breakpoint
ALTER TABLE `notifications` ADD `announced_revision` int unsigned;--> statement-breakpoint
ALTER TABLE `notifications` ADD `frames` varchar(69) DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE `notifications` ADD `read_up_to` bigint unsigned;--> statement-breakpoint
ALTER TABLE `notifications` ADD `touched` int unsigned DEFAULT 0 NOT NULL;--> statement-breakpoint
CREATE INDEX `notifications_user_due` ON `notifications` (`user_id`,`effects_due_at`);--> statement-breakpoint
CREATE INDEX `notifications_post` ON `notifications` (`post_id`,`is_read`);--> statement-breakpoint
CREATE INDEX `notifications_withdrawn_at` ON `notifications` (`withdrawn_at`);