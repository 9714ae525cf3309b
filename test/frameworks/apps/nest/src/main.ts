import 'reflect-metadata'
import { Controller, Get, Module, Query } from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import { infer } from './models/infer.js'

@Controller()
class InferController {
  @Get('infer')
  infer(@Query('x') x: string): unknown {
    return infer(x)
  }
}

@Module({ controllers: [InferController] })
// oxlint-disable-next-line typescript/no-extraneous-class -- a module of Nest is an empty class
class AppModule {}

void NestFactory.create(AppModule).then((app) => app.listen(Number(process.env['PORT']), '127.0.0.1'))
