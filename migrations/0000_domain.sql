CREATE TABLE `sessions` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`epoch` int unsigned NOT NULL,
	`generation` int unsigned NOT NULL DEFAULT 1,
	`refresh_hash` char(64),
	`rotations` varchar(111) NOT NULL DEFAULT '',
	`device_label` varchar(100) NOT NULL,
	`created_at` datetime(3) NOT NULL,
	`last_used_at` datetime(3) NOT NULL,
	`expires_at` datetime(3) NOT NULL,
	`revoked_at` datetime(3),
	CONSTRAINT `sessions_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
CREATE TABLE `users` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`email` varchar(254),
	`username` varchar(30),
	`username_key` char(64),
	`password_hash` varchar(60),
	`role` varchar(8) NOT NULL DEFAULT 'user',
	`session_epoch` int unsigned NOT NULL DEFAULT 1,
	`created_at` datetime(3) NOT NULL,
	`erased_at` datetime(3),
	CONSTRAINT `users_id` PRIMARY KEY(`id`),
	CONSTRAINT `users_email` UNIQUE(`email`),
	CONSTRAINT `users_username_key` UNIQUE(`username_key`)
);
--> statement-breakpoint
CREATE TABLE `boards` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`name` varchar(100) NOT NULL,
	`slug` varchar(60) NOT NULL,
	`description` varchar(500) NOT NULL,
	`position` int NOT NULL DEFAULT 0,
	`post_count` int NOT NULL DEFAULT 0,
	`created_at` datetime(3) NOT NULL,
	CONSTRAINT `boards_id` PRIMARY KEY(`id`),
	CONSTRAINT `boards_slug` UNIQUE(`slug`)
);
--> statement-breakpoint
CREATE TABLE `posts` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`board_id` bigint unsigned NOT NULL,
	`author_id` bigint unsigned NOT NULL,
	`title` varchar(200) NOT NULL,
	`content` mediumtext NOT NULL,
	`excerpt` varchar(300) NOT NULL,
	`view_count` int unsigned NOT NULL DEFAULT 0,
	`like_count` int unsigned NOT NULL DEFAULT 0,
	`comment_count` int unsigned NOT NULL DEFAULT 0,
	`version` int unsigned NOT NULL DEFAULT 1,
	`revision` int unsigned NOT NULL DEFAULT 1,
	`counted` boolean NOT NULL DEFAULT false,
	`effects_due_at` datetime(3),
	`idempotency_key` char(64),
	`idempotency_hash` char(64),
	`created_at` datetime(3) NOT NULL,
	`updated_at` datetime(3) NOT NULL,
	`deleted_at` datetime(3),
	CONSTRAINT `posts_id` PRIMARY KEY(`id`),
	CONSTRAINT `posts_idempotency` UNIQUE(`author_id`,`idempotency_key`)
);
--> statement-breakpoint
CREATE TABLE `view_batches` (
	`id` varchar(48) NOT NULL,
	`applied` boolean NOT NULL DEFAULT false,
	`created_at` datetime(3) NOT NULL,
	CONSTRAINT `view_batches_id` PRIMARY KEY(`id`)
);
--> statement-breakpoint
CREATE TABLE `comments` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`post_id` bigint unsigned NOT NULL,
	`author_id` bigint unsigned NOT NULL,
	`content` text NOT NULL,
	`like_count` int unsigned NOT NULL DEFAULT 0,
	`version` int unsigned NOT NULL DEFAULT 1,
	`revision` int unsigned NOT NULL DEFAULT 1,
	`counted` boolean NOT NULL DEFAULT false,
	`effects_due_at` datetime(3),
	`idempotency_key` char(64),
	`idempotency_hash` char(64),
	`created_at` datetime(3) NOT NULL,
	`updated_at` datetime(3) NOT NULL,
	`deleted_at` datetime(3),
	CONSTRAINT `comments_id` PRIMARY KEY(`id`),
	CONSTRAINT `comments_idempotency` UNIQUE(`author_id`,`idempotency_key`)
);
--> statement-breakpoint
CREATE TABLE `likes` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`target_type` varchar(8) NOT NULL,
	`target_id` bigint unsigned NOT NULL,
	`post_id` bigint unsigned NOT NULL,
	`active` boolean NOT NULL DEFAULT false,
	`revision` int unsigned NOT NULL DEFAULT 1,
	`effects_due_at` datetime(3),
	`created_at` datetime(3) NOT NULL,
	`updated_at` datetime(3) NOT NULL,
	CONSTRAINT `likes_id` PRIMARY KEY(`id`),
	CONSTRAINT `likes_user_target` UNIQUE(`user_id`,`target_type`,`target_id`)
);
--> statement-breakpoint
CREATE TABLE `notification_actors` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`notification_id` bigint unsigned NOT NULL,
	`actor_id` bigint unsigned NOT NULL,
	`source_type` varchar(8) NOT NULL,
	`source_id` bigint unsigned NOT NULL,
	`active` boolean NOT NULL DEFAULT true,
	`created_at` datetime(3) NOT NULL,
	CONSTRAINT `notification_actors_id` PRIMARY KEY(`id`),
	CONSTRAINT `notification_actors_source` UNIQUE(`source_type`,`source_id`)
);
--> statement-breakpoint
CREATE TABLE `notifications` (
	`id` bigint unsigned AUTO_INCREMENT NOT NULL,
	`user_id` bigint unsigned NOT NULL,
	`type` varchar(8) NOT NULL,
	`target_type` varchar(8) NOT NULL,
	`target_id` bigint unsigned NOT NULL,
	`post_id` bigint unsigned NOT NULL,
	`actor_id` bigint unsigned NOT NULL,
	`actor_count` int unsigned NOT NULL DEFAULT 1,
	`dedupe_key` varchar(100) NOT NULL,
	`is_read` boolean NOT NULL DEFAULT false,
	`withdrawn_at` datetime(3),
	`revision` int unsigned NOT NULL DEFAULT 1,
	`effects_due_at` datetime(3),
	`created_at` datetime(3) NOT NULL,
	`updated_at` datetime(3) NOT NULL,
	CONSTRAINT `notifications_id` PRIMARY KEY(`id`),
	CONSTRAINT `notifications_dedupe` UNIQUE(`user_id`,`dedupe_key`)
);
--> statement-breakpoint
CREATE TABLE `activity_rollups` (
	`bucket` datetime(3) NOT NULL,
	`posts` int unsigned NOT NULL DEFAULT 0,
	`comments` int unsigned NOT NULL DEFAULT 0,
	`likes` int unsigned NOT NULL DEFAULT 0,
	`users` int unsigned NOT NULL DEFAULT 0,
	`updated_at` datetime(3) NOT NULL,
	CONSTRAINT `activity_rollups_bucket` PRIMARY KEY(`bucket`)
);
--> statement-breakpoint
CREATE INDEX `sessions_user` ON `sessions` (`user_id`,`id`);--> statement-breakpoint
CREATE INDEX `sessions_expires_at` ON `sessions` (`expires_at`);--> statement-breakpoint
CREATE INDEX `users_created_at` ON `users` (`created_at`);--> statement-breakpoint
CREATE INDEX `boards_order` ON `boards` (`position`,`id`);--> statement-breakpoint
CREATE INDEX `posts_latest` ON `posts` (`deleted_at`,`id`);--> statement-breakpoint
CREATE INDEX `posts_board` ON `posts` (`board_id`,`deleted_at`,`id`);--> statement-breakpoint
CREATE INDEX `posts_author` ON `posts` (`author_id`,`deleted_at`,`id`);--> statement-breakpoint
CREATE INDEX `posts_author_board` ON `posts` (`author_id`,`board_id`,`deleted_at`,`id`);--> statement-breakpoint
CREATE INDEX `posts_uncounted` ON `posts` (`counted`,`board_id`);--> statement-breakpoint
CREATE INDEX `posts_effects_due` ON `posts` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `posts_created_at` ON `posts` (`created_at`);--> statement-breakpoint
CREATE INDEX `view_batches_created_at` ON `view_batches` (`created_at`);--> statement-breakpoint
CREATE INDEX `comments_post` ON `comments` (`post_id`,`id`);--> statement-breakpoint
CREATE INDEX `comments_author` ON `comments` (`author_id`,`deleted_at`,`id`);--> statement-breakpoint
CREATE INDEX `comments_uncounted` ON `comments` (`post_id`,`counted`);--> statement-breakpoint
CREATE INDEX `comments_effects_due` ON `comments` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `comments_created_at` ON `comments` (`created_at`);--> statement-breakpoint
CREATE INDEX `likes_target` ON `likes` (`target_type`,`target_id`,`active`,`id`);--> statement-breakpoint
CREATE INDEX `likes_effects_due` ON `likes` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `likes_created_at` ON `likes` (`created_at`);--> statement-breakpoint
CREATE INDEX `notification_actors_notification` ON `notification_actors` (`notification_id`,`active`,`actor_id`);--> statement-breakpoint
CREATE INDEX `notifications_user` ON `notifications` (`user_id`,`withdrawn_at`,`id`);--> statement-breakpoint
CREATE INDEX `notifications_unread` ON `notifications` (`user_id`,`withdrawn_at`,`is_read`,`id`);--> statement-breakpoint
CREATE INDEX `notifications_effects_due` ON `notifications` (`effects_due_at`);--> statement-breakpoint
CREATE INDEX `notifications_read_at` ON `notifications` (`is_read`,`updated_at`);