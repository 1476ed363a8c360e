# Two stages: the second holds one static binary and nothing to break into it with.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/portcullis ./cmd/portcullis

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/portcullis /portcullis
# An account of no rights; the root file system can be read-only.
USER 65532:65532
ENV PORTCULLIS_ENV=production PORTCULLIS_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["/portcullis", "health"]
ENTRYPOINT ["/portcullis"]
CMD ["serve"]
