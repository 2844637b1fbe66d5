/**
 * The HTTP application: order of middleware, mounts, and what is answered where no route is.
 * @module
 */
import type { Context } from "hono";
import { cors } from "hono/cors";
import { authRoutes } from "./auth/routes.ts";
import { boardRoutes } from "./boards/routes.ts";
import { AppError } from "./common/errors.ts";
import { asyncApiDocument } from "./docs/asyncapi.ts";
import { documentInfo } from "./docs/document.ts";
import { commentRoutes } from "./comments/routes.ts";
import { likeRoutes } from "./likes/routes.ts";
import { REST_PAGE, ROOMS_PAGE } from "./docs/layout.ts";
import { createDocsRoutes } from "./docs/routes.ts";
import { healthRoutes } from "./health/routes.ts";
import type { AppEnv } from "./http/app-env.ts";
import { allowedMethods } from "./http/allowed-methods.ts";
import { admitRead } from "./http/middleware/admission.ts";
import { authenticate } from "./http/middleware/authenticate.ts";
import { readJsonBody } from "./http/middleware/json-body.ts";
import { requestContext, requestId } from "./http/middleware/request-context.ts";
import { securityHeaders } from "./http/middleware/security-headers.ts";
import { newRouter } from "./http/openapi.ts";
import { problemResponse } from "./http/problem.ts";
import { postRoutes } from "./posts/routes.ts";
import { notificationRoutes } from "./notifications/routes.ts";
import { jobRoutes } from "./queue/routes.ts";
import { roomRoutes } from "./realtime/routes.ts";
import { buildServices } from "./services.ts";
import { statsRoutes } from "./stats/routes.ts";
import { userRoutes } from "./users/routes.ts";

const PREFLIGHT_SECONDS = 86_400;

/** Response headers that a browser's script may read. */
const EXPOSED_HEADERS = [
  "x-request-id",
  "server-timing",
  "etag",
  "location",
  "retry-after",
  "ratelimit",
  "ratelimit-policy",
];

export function createApp() {
  const app = newRouter();
  app.use(securityHeaders(REST_PAGE, ROOMS_PAGE));
  app.use(requestId);
  app.use(requestContext(buildServices));
  app.use(
    cors({
      origin: (origin, c: Context<AppEnv>) => (c.var.config.CORS_ORIGINS.includes(origin) ? origin : null),
      credentials: true,
      allowMethods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
      allowHeaders: [
        "authorization",
        "content-type",
        "idempotency-key",
        "if-match",
        "if-none-match",
        "x-request-id",
      ],
      exposeHeaders: EXPOSED_HEADERS,
      maxAge: PREFLIGHT_SECONDS,
    }),
  );
  app.use(readJsonBody());
  app.use(authenticate);

  const api = app
    .route("/api/auth", authRoutes)
    .route("/api/users", userRoutes)
    .route("/api/boards", boardRoutes)
    .route("/api/posts", postRoutes)
    .route("/api", commentRoutes)
    .route("/api", likeRoutes)
    .route("/api/notifications", notificationRoutes)
    .route("/api", jobRoutes)
    .route("/api/rooms", roomRoutes)
    .route("/api/stats", statsRoutes)
    .route("/api/health", healthRoutes)
    .route(
      "/api",
      createDocsRoutes({
        openApi: () => app.getOpenAPI31Document(documentInfo),
        asyncApi: asyncApiDocument,
      }),
    );

  app.openAPIRegistry.registerComponent("securitySchemes", "bearerAuth", {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
  });
  app.onError((error, c) => problemResponse(error, c));
  app.notFound(async (c) => {
    const methods = allowedMethods(app.routes, c.req.path);
    // Counted like a read: probing for paths is limited too.
    let answer: Response | undefined;
    await admitRead()(c, async () => {
      answer = problemResponse(
        methods.length > 0
          ? new AppError("method_not_allowed", `Allowed here: ${methods.join(", ")}`, {
              headers: { allow: methods.join(", ") },
            })
          : new AppError("not_found", "There is nothing at this path"),
        c,
      );
    });
    return answer ?? problemResponse(new AppError("not_found"), c);
  });
  return api;
}

/** The application's type, from which a typed client can be made. */
export type App = ReturnType<typeof createApp>;
